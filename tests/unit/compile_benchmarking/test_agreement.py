"""Engines that compute something else are found out, and named with the figure and the limit."""

import numpy as np
import pytest

from ovenbird.benchmarking.agreement import TOLERANCE, check_agreement
from ovenbird.errors import OutputsDisagree

REFERENCE = {"logits": np.array([[4.0, -8.0, 0.5]], np.float32), "embedding": np.array([[0.001]], np.float32)}


def changed(name: str, add: float) -> dict[str, np.ndarray]:
    return {key: array + np.float32(add if key == name else 0) for key, array in REFERENCE.items()}


def test_equal_outputs_agree() -> None:
    assert check_agreement("ort", REFERENCE, changed("logits", 0)) == 0.0


def test_error_is_a_share_of_the_outputs_scale() -> None:
    assert check_agreement("ort", REFERENCE, changed("logits", 0.004)) == pytest.approx(0.0005, rel=1e-3)


def test_small_outputs_are_held_to_their_own_scale() -> None:
    with pytest.raises(OutputsDisagree, match=r"openvino differs .* embedding, limit 0.001"):
        check_agreement("openvino", REFERENCE, changed("embedding", 2 * TOLERANCE * 0.001))


def test_nan_never_agrees() -> None:
    with pytest.raises(OutputsDisagree, match="NaN or infinity in logits"):
        check_agreement("ort", REFERENCE, changed("logits", float("nan")))


def test_shape_must_be_the_same() -> None:
    found = {**REFERENCE, "logits": REFERENCE["logits"][:, :2]}
    with pytest.raises(OutputsDisagree, match=r"logits as \[1, 2\], the network gives \[1, 3\]"):
        check_agreement("ort", REFERENCE, found)


def test_number_of_outputs_must_be_the_same() -> None:
    with pytest.raises(OutputsDisagree, match="gives 1 outputs, the network has 2"):
        check_agreement("ort", REFERENCE, {"logits": REFERENCE["logits"]})


def test_names_may_differ() -> None:
    found = {"12": REFERENCE["logits"], "13": REFERENCE["embedding"]}
    assert check_agreement("ort", REFERENCE, found) == 0.0
