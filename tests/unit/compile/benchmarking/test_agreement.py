"""Engines that compute something else are found out, and named with the figure and the limit."""

import numpy as np
import pytest

from ovenbird.benchmarking.agreement import Expected
from ovenbird.errors import OutputsDisagree
from ovenbird_runtime.manifest.agreement import LIMITS
from ovenbird_runtime.manifest.answers import Boxes

RANDOM = np.random.default_rng(0)
LIMIT = LIMITS["f32"].rms
REFERENCE = {
    "logits": RANDOM.standard_normal((8, 100)).astype(np.float32),
    "embedding": (1e-5 * RANDOM.standard_normal((8, 100))).astype(np.float32),
}


def check_agreement(engine: str, reference: dict[str, np.ndarray], found: dict[str, np.ndarray]) -> float:
    return Expected(reference).check(engine, found)


def changed(name: str, share: float) -> dict[str, np.ndarray]:
    """Add errors to one output: a share of how much it moves."""
    found = dict(REFERENCE)
    noise = RANDOM.standard_normal(found[name].shape) * found[name].std(axis=0)
    found[name] = (found[name] + share * noise).astype(np.float32)
    return found


def test_equal_outputs_agree() -> None:
    assert check_agreement("ort", REFERENCE, REFERENCE) == 0.0


@pytest.mark.parametrize("name", REFERENCE)
def test_every_output_is_held_to_its_own_spread(name: str) -> None:
    assert check_agreement("ort", REFERENCE, changed(name, LIMIT / 2)) == pytest.approx(LIMIT / 2, rel=0.2)
    with pytest.raises(OutputsDisagree, match=rf"openvino differs from the network: {name} is off by .* limit 0.0001"):
        check_agreement("openvino", REFERENCE, changed(name, 3 * LIMIT))


def test_nan_never_agrees() -> None:
    found = {**REFERENCE, "logits": REFERENCE["logits"] * np.float32("nan")}
    with pytest.raises(OutputsDisagree, match="logits is not finite"):
        check_agreement("ort", REFERENCE, found)


def test_shape_must_be_the_same() -> None:
    found = {**REFERENCE, "logits": REFERENCE["logits"][:, :2]}
    with pytest.raises(OutputsDisagree, match=r"logits is float32\[8, 2\], expected float32\[8, 100\]"):
        check_agreement("ort", REFERENCE, found)


def test_number_of_outputs_must_be_the_same() -> None:
    with pytest.raises(OutputsDisagree, match="gives 1 outputs, the network has 2"):
        check_agreement("ort", REFERENCE, {"logits": REFERENCE["logits"]})


def test_names_and_widths_of_whole_numbers_may_differ() -> None:
    reference = {"a": REFERENCE["logits"], "b": np.arange(8)[:, None]}
    assert check_agreement("ort", reference, {"12": reference["a"], "13": reference["b"].astype(np.int32)}) == 0.0


def test_candidates_of_nearly_equal_scores_may_change_places() -> None:
    """Rounding decides their order, which says nothing of the network."""
    scores = np.linspace(0.9, 0.1, 40, dtype=np.float32).reshape(2, 20)
    scores[:, 6] = scores[:, 5] - 1e-7
    corners = RANDOM.uniform(0, 200, (2, 20, 2)).astype(np.float32)
    right = {
        "boxes": np.concatenate([corners, corners + 50], axis=-1),
        "scores": scores,
        "classes": np.arange(40, dtype=np.int32).reshape(2, 20) % 7,
    }
    order = [0, 1, 2, 3, 4, 6, 5, *range(7, 20)]
    given = {name: array[:, order] for name, array in right.items()}
    detector = Expected(right, steps=(Boxes(),))
    assert detector.check("ovenbird", given) < LIMIT
    with pytest.raises(OutputsDisagree):
        Expected(right).check("ovenbird", given)
    moved = {**given, "boxes": given["boxes"] + np.float32(0.5)}
    with pytest.raises(OutputsDisagree, match="boxes"):
        detector.check("ovenbird", moved)
