"""Weights as int8: symmetric, a scale for each output channel; and what rounding them moves the results by on average.

    levels, scale = quantize_weight(weight, axis=0)          # int8 in [-127, 127], float32 [O]
    error = weight_error(weight, levels, scale, axis=0)
    convolution_correction(error, means, groups=1)           # float64 [O], to be added to the bias
    rows_of(weight, 0, groups=1)                             # [groups, O / groups, products]: an output's weights a row

Narrow weights: those of two neighbouring inputs, where they have one sign, add up to 128 at most, so that pairs of
products by levels fit in 16 bits. Processors without VNNI add two at a time then (`passes/quantized/emit_dots.py`).

Bias correction: Nagel et al. 2019, https://arxiv.org/abs/1906.04721, by the means that calibration saw.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ovenbird.operators.quantized.packing import PAIR
from ovenbird_runtime.tensors.arrays import Array

MOST = 127
LEAST_SCALE = 1e-10
assert MOST < PAIR
FACTORS = np.linspace(1.0, 2.0, 21)
"""By which a scale may be larger than the largest weight asks for: at 2 all pairs fit."""


class WeightLevels(NamedTuple):
    """A weight in whole numbers: int8 of its shape, and a scale for each output channel, float32 [O]."""

    levels: Array
    scale: Array


def quantize_weight(weight: Array, axis: int, narrow: bool = False) -> WeightLevels:
    """Return the nearest levels by each output channel's scale: its largest weight is the last level.

    `narrow`: pairs are held, and scales are larger where that costs less.
    """
    others = tuple(at for at in range(weight.ndim) if at != axis)
    largest = np.abs(weight).max(axis=others)
    scale = np.maximum(largest / MOST, LEAST_SCALE)
    if narrow:
        scale = scale * pair_factor(np.moveaxis(weight, axis, 0), scale)
    scale = scale.astype(np.float32)
    levels = np.clip(np.rint(weight / _along(scale, axis, weight.ndim)), -MOST, MOST)
    held = hold_pairs(levels, 1 - min(axis, 1)) if narrow else levels
    return WeightLevels(held.astype(np.int8), scale)


def pair_factor(weight: Array, scale: Array) -> Array:
    """Return what to multiply the scales of outputs by, [O]: the least error of rounding and of pairs that are held.

    `weight`: [O, I, ...], pairs along the second axis.
    """
    whole = weight.shape[1] // 2 * 2
    first, second = (weight[:, start:whole:2].reshape(len(weight), -1) for start in (0, 1))
    together = np.abs(first + second) * (first * second > 0)
    errors = []
    for factor in FACTORS:
        step = scale * factor
        excess = np.maximum(together / step[:, None] - PAIR, 0)
        errors.append(step**2 * (weight[0].size / 12 + np.square(excess).sum(axis=1) / 2))
    found: Array = FACTORS[np.argmin(errors, axis=0)]
    return found


def hold_pairs(levels: Array, axis: int) -> Array:
    """Return levels of which no pair of one sign along an axis adds up to more than `PAIR`: both give up the rest."""
    moved = np.moveaxis(levels, axis, -1).copy()
    whole = moved.shape[-1] // 2 * 2
    first, second = moved[..., 0:whole:2], moved[..., 1:whole:2]
    excess = np.where(first * second > 0, np.abs(first) + np.abs(second) - PAIR, 0).clip(min=0)
    first -= np.sign(first) * (excess // 2)
    second -= np.sign(second) * (excess - excess // 2)
    found: Array = np.moveaxis(moved, -1, axis)
    return found


def weight_error(weight: Array, levels: Array, scale: Array, axis: int) -> Array:
    """Return by how much each weight was too large, in float64."""
    found: Array = weight.astype(np.float64) - levels.astype(np.float64) * _along(
        scale.astype(np.float64), axis, weight.ndim
    )
    return found


def convolution_correction(error: Array, means: Array, groups: int) -> Array:
    """Return what a convolution's channels lost, [O]: its weights' errors [O, I / groups, ...] times the means [I]."""
    summed = error.sum(axis=tuple(range(2, error.ndim)))
    outputs, inputs = summed.shape
    each = means.reshape(groups, inputs)[np.arange(outputs) // (outputs // groups)]
    found: Array = (summed * each).sum(axis=1)
    return found


def product_correction(error: Array, means: Array) -> Array:
    """Return what a product of matrices lost in each column, [N]: its errors [K, N] by the means [K]."""
    found: Array = means @ error
    return found


def rows_of(weight: Array, axis: int, groups: int) -> Array:
    """Return a convolution's weights [O, I, ...] (axis 0), or a matrix [K, N] (axis 1), as rows of what is summed."""
    outputs_first = np.moveaxis(weight, axis, 0)
    return np.ascontiguousarray(outputs_first.reshape(groups, weight.shape[axis] // groups, -1))


def weight_of(rows: Array, axis: int, shape: tuple[int, ...]) -> Array:
    """Return rows as the weights of that shape again."""
    outputs_first = rows.reshape(shape[axis], *(extent for at, extent in enumerate(shape) if at != axis))
    return np.ascontiguousarray(np.moveaxis(outputs_first, 0, axis))


def _along(scale: Array, axis: int, rank: int) -> Array:
    return scale.reshape([-1 if at == axis else 1 for at in range(rank)])
