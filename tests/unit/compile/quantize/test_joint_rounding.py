"""Weights that are rounded together err less in what is summed, and only where other rows say so, too."""

from __future__ import annotations

import numpy as np

from ovenbird.quantize.rounding.joint_rounding import round_jointly
from ovenbird.quantize.rounding.weights import quantize_weight, rows_of, weight_of
from ovenbird_runtime.tensors.arrays import Array

random = np.random.default_rng(5)


def error_of(levels: Array, weight: Array, scale: Array, rows: Array) -> float:
    """Return the mean square error of what is summed, about its mean."""
    error = rows @ (weight - levels * scale[..., None]).swapaxes(1, 2)
    return float(np.square(error - error.mean(axis=1, keepdims=True)).mean())


def correlated(groups: int, count: int, products: int, rank: int) -> Array:
    """Return rows that depend on a few numbers, as neighbouring pixels do."""
    few = random.normal(size=(groups, count, rank)) @ random.normal(size=(groups, rank, products))
    return (few + 0.05 * random.normal(size=few.shape)).astype(np.float32)


def test_errors_cancel_on_rows_that_were_not_seen() -> None:
    for groups, outputs, products in ((1, 24, 144), (12, 1, 9)):
        mixing = correlated(groups, 1400, products, max(2, products // 8))
        rows, unseen = mixing[:, :1024], mixing[:, 1024:]
        weight = random.normal(size=(groups, outputs, products)).astype(np.float32)
        scale = (np.abs(weight).max(axis=2) / 127).astype(np.float32)
        levels = round_jointly(weight, scale, rows)
        assert levels is not None
        assert levels.dtype == np.int8
        nearest = np.rint(weight / scale[..., None])
        assert np.abs(levels - nearest).max() >= 1
        assert error_of(levels, weight, scale, unseen) < 0.3 * error_of(nearest, weight, scale, unseen)


def test_nearest_levels_stay_where_nothing_is_gained() -> None:
    weight = random.normal(size=(1, 8, 32)).astype(np.float32)
    scale = (np.abs(weight).max(axis=2) / 127).astype(np.float32)
    for rows in (
        np.zeros((1, 1024, 32)),  # says nothing
        random.normal(size=(1, 40, 32)),  # too few
        random.normal(size=(1, 1024, 32)) * np.inf,
        np.concatenate([correlated(1, 768, 32, 4), random.normal(size=(1, 256, 32))], axis=1),  # others are otherwise
    ):
        with np.errstate(invalid="ignore"):
            assert round_jointly(weight, scale, rows.astype(np.float32)) is None


def test_weights_become_rows_and_come_back() -> None:
    kernel = random.normal(size=(6, 2, 3, 3)).astype(np.float32)
    rows = rows_of(kernel, 0, 3)
    assert rows.shape == (3, 2, 18)
    assert np.array_equal(rows[1, 0], kernel[2].reshape(-1))
    assert np.array_equal(weight_of(rows, 0, kernel.shape), kernel)
    matrix = random.normal(size=(5, 4)).astype(np.float32)
    rows = rows_of(matrix, 1, 1)
    assert np.array_equal(rows[0], matrix.T)
    assert np.array_equal(weight_of(rows, 1, matrix.shape), matrix)
    assert quantize_weight(kernel, 0)[1].shape == (6,)
