"""The comparison itself: errors, scales, NaN, and figures that do not show a machine's last bit."""

from typing import Any

import numpy as np
import pytest

from ovenbird.compiling import worst_of
from ovenbird.errors import VerificationFailed
from ovenbird.verifying import Verification, largest, random_like, rounded_up, worst_error
from ovenbird_runtime.manifest import Parity


def array(*values: float) -> Any:
    return np.array(values, dtype="float32")


def test_the_worst_error_is_the_largest_difference() -> None:
    assert worst_error(array(1, 2, 3), array(1, 2.5, 3.25), "y") == 0.5
    assert worst_error(array(), array(), "y") == 0.0
    assert worst_error(np.array([2**40, 3]), np.array([2**40, 5]), "y") == 2.0


def test_nan_must_stand_where_the_framework_has_it() -> None:
    assert worst_error(array(np.nan, 1, -np.inf), array(np.nan, 1.5, -np.inf), "y") == 0.5
    for found, right in (
        (array(np.nan, 1), array(0, 1)),
        (array(0, 1), array(np.nan, 1)),
        (array(np.inf), array(-np.inf)),
        (array(np.nan), array(np.inf)),
    ):
        with pytest.raises(VerificationFailed, match="not finite"):
            worst_error(found, right, "y")


def test_shapes_and_dtypes_must_be_the_same() -> None:
    with pytest.raises(VerificationFailed, match=r"float32\[1\], expected float32\[2\]"):
        worst_error(array(1), array(1, 2), "y")
    with pytest.raises(VerificationFailed, match=r"expected float64"):
        worst_error(array(1), np.ones(1), "y")


def test_the_scale_ignores_what_is_not_finite() -> None:
    assert largest(array(-7, 3, np.inf, np.nan)) == 7
    assert largest(array(np.nan)) == 0


@pytest.mark.parametrize(
    ("value", "bound"), [(0.0, 0.0), (1.501e-4, 1.6e-4), (1.5e-4, 1.5e-4), (9.99, 10.0), (0.123, 0.13), (1e-12, 1e-12)]
)
def test_figures_are_rounded_up(value: float, bound: float) -> None:
    assert rounded_up(value) == bound
    assert rounded_up(value) >= value * (1 - 1e-9)


def test_random_inputs_stay_valid() -> None:
    random = np.random.default_rng(0)
    ids = random_like(np.array([[3, 5, 9]]), random)
    assert ids.dtype == np.int64
    assert set(ids.ravel()) <= {3, 5, 9}
    drawn = random_like(np.zeros((2, 50), dtype="float32"), random)
    assert drawn.dtype == np.float32
    assert drawn.std() > 0.5
    assert random_like(np.array([True]), random).dtype == bool


def verification(error: float, top1: float | None) -> Verification:
    parity = Parity(max_abs_error={"y": error}, tolerance=1e-3, top1_agreement=top1, images=3, random_inputs=9)
    return Verification(parity, {"y": {"max_abs_error": error, "max_abs_reference": 1.0}}, {}, {})


def test_several_variants_answer_for_their_worst() -> None:
    found = worst_of([verification(1e-5, 1.0), verification(3e-5, 0.9), verification(2e-5, None)])
    assert found.parity.max_abs_error == {"y": 3e-5}
    assert found.parity.top1_agreement == 0.9
    assert found.outputs["y"]["max_abs_error"] == 3e-5
