"""Weights that are rounded together err less in what is summed, and only where other rows say so, too."""

from __future__ import annotations

import numpy as np
import pytest

from ovenbird.operators.quantized.packing import is_narrow, pack_conv_weight, pack_matmul_weight
from ovenbird.quantize.rounding.joint_rounding import round_jointly
from ovenbird.quantize.rounding.weights import hold_pairs, quantize_weight, rows_of, weight_of
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
        scale = quantize_weight(weight.reshape(groups * outputs, -1, 3, 3), 0, narrow=True)[1].reshape(groups, outputs)
        levels = round_jointly(weight, scale, rows, window=9)
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


def test_pairs_of_weights_stay_narrow() -> None:
    mixing = correlated(1, 1024, 36 * 9, 40)
    weight = (random.normal(size=(1, 16, 36 * 9)) ** 3).astype(np.float32)
    weight[0, :, 9 * 4 : 9 * 6] = 5.0  # two inputs that would be all too large together
    kernel = weight_of(weight, 0, (16, 36, 3, 3))
    nearest, scale = quantize_weight(kernel, 0, narrow=True)
    found = round_jointly(weight, scale.reshape(1, -1), mixing, window=9)
    assert found is not None
    for levels in (nearest, weight_of(found, 0, kernel.shape)):
        assert is_narrow(pack_conv_weight(levels, 8, 8))
    matrix = np.ascontiguousarray(weight[0].T)
    levels, scale = quantize_weight(matrix, 1, narrow=True)
    assert is_narrow(pack_matmul_weight(levels, 8))
    assert np.abs(levels * scale - matrix).max() < 3 * scale.max()


def test_what_a_pair_has_too_much_both_give_up() -> None:
    pairs = np.array([[100, 60], [-127, -127], [127, -127], [64, 64], [1, 0], [127, 2]], np.float32)
    wanted = [[84, 44], [-64, -64], [127, -127], [64, 64], [1, 0], [127, 1]]
    assert hold_pairs(pairs, 1).tolist() == wanted
    assert hold_pairs(pairs.T, 0).T.tolist() == wanted
    assert hold_pairs(pairs[:, :1], 1).tolist() == pairs[:, :1].tolist()  # no pair


def test_scales_grow_where_pairs_ask_for_it() -> None:
    few, many = np.full((1, 64), 0.005, np.float32), np.full((1, 64), 0.9, np.float32)
    few[0, 0] = many[0, 0] = 1.0
    assert quantize_weight(few, 0, narrow=True)[1] == pytest.approx(1 / 127)
    assert quantize_weight(many, 0, narrow=True)[1] == pytest.approx(1.9 / 128, rel=0.1)
    assert quantize_weight(many, 0)[1] == pytest.approx(1 / 127)
