"""Scales and zero points from what was seen, and weights as int8."""

from __future__ import annotations

import numpy as np
import pytest

from ovenbird.quantize.calibration.ranges import METHODS, LevelRange, Seen, choose_range
from ovenbird.quantize.rounding.weights import convolution_correction, product_correction, quantize_weight, weight_error


def seen(*arrays: np.ndarray) -> Seen:
    found = Seen()
    for array in arrays:
        found.add(array.astype(np.float32))
    return found


def test_a_range_holds_zero_exactly() -> None:
    for low, high in ((-1.0, 3.0), (0.5, 2.0), (-4.0, -1.0), (0.0, 0.0)):
        found = LevelRange.of(low, high)
        assert 0 <= found.zero <= 255
        assert found.through(np.zeros(1, np.float32)) == 0
        values = np.float32([min(low, 0), max(high, 0)])
        np.testing.assert_allclose(found.through(values), values, atol=found.scale)


def test_halves_go_to_the_even_level() -> None:
    found = LevelRange(1.0, 10)
    np.testing.assert_array_equal(found.through(np.float32([0.5, 1.5, 2.5, -0.5, -20, 300])), [0, 2, 2, 0, -10, 245])


@pytest.mark.parametrize("method", ["percentile", "entropy"])
def test_outliers_do_not_take_the_levels_of_all_others(method: str) -> None:
    values = np.abs(np.random.default_rng(0).standard_normal((1, 4, 64, 64)))
    values[0, 0, 0, 0] = 100
    clipped, whole = choose_range(seen(values), method), choose_range(seen(values), "max")  # type: ignore[arg-type]
    assert whole.scale == pytest.approx(100 / 255)
    assert clipped.scale < 0.5 * whole.scale
    assert clipped.zero == 0
    assert clipped.scale * 255 > np.percentile(values, 99)


def test_the_mean_square_error_is_the_least_of_those_tried() -> None:
    values = np.random.default_rng(1).laplace(size=(1, 2, 50, 50))
    errors = {}
    for method in METHODS:
        found = choose_range(seen(values), method)
        errors[method] = np.square(found.through(values.astype(np.float32)) - values).mean()
    assert errors["mse"] <= min(errors.values()) * 1.05


def test_means_are_those_of_channels() -> None:
    images = np.arange(24.0).reshape(1, 2, 3, 4)
    np.testing.assert_allclose(seen(images, images + 2).means, images.mean((0, 2, 3)) + 1)
    np.testing.assert_allclose(seen(images[0]).means, images[0].mean((0, 1)))


def test_each_channel_of_a_weight_has_its_scale() -> None:
    weight = np.random.default_rng(2).standard_normal((4, 3, 3, 3)).astype(np.float32) * np.float32(
        [[[[1]]], [[[0.01]]], [[[100]]], [[[0]]]]
    )
    levels, scale = quantize_weight(weight, 0)
    assert levels.dtype == np.int8
    assert np.abs(levels[:3]).reshape(3, -1).max(1).tolist() == [127] * 3
    assert not levels[3].any()
    np.testing.assert_allclose(levels * scale.reshape(4, 1, 1, 1), weight, atol=scale.max() / 2 * 1.001)


def test_the_correction_is_what_rounding_lost_on_average() -> None:
    random = np.random.default_rng(3)
    weight, means = random.standard_normal((6, 2, 3, 3)).astype(np.float32), random.standard_normal(4)
    levels, scale = quantize_weight(weight, 0)
    error = weight_error(weight, levels, scale, 0)
    constant = np.broadcast_to(means.reshape(2, 2, 1, 1), (2, 2, 3, 3))
    expected = [(error[at] * constant[at // 3]).sum() for at in range(6)]
    np.testing.assert_allclose(convolution_correction(error, means, 2), expected)
    matrix = random.standard_normal((4, 5)).astype(np.float32)
    levels, scale = quantize_weight(matrix, 1)
    lost = means @ matrix - means @ (levels * scale)
    np.testing.assert_allclose(product_correction(weight_error(matrix, levels, scale, 1), means), lost, atol=1e-6)
