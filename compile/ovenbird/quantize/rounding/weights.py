"""Weights as int8: symmetric, a scale for each output channel; and what rounding them moves the results by on average.

    levels, scale = quantize_weight(weight, axis=0)          # int8 in [-127, 127], float32 [O]
    error = weight_error(weight, levels, scale, axis=0)
    convolution_correction(error, means, groups=1)           # float64 [O], to be added to the bias
    rows_of(weight, 0, groups=1)                             # [groups, O / groups, products]: an output's weights a row

Bias correction: Nagel et al. 2019, https://arxiv.org/abs/1906.04721, by the means that calibration saw.
"""

from __future__ import annotations

import numpy as np

from ovenbird_runtime.tensors.arrays import Array

MOST = 127
LEAST_SCALE = 1e-10


def quantize_weight(weight: Array, axis: int, chosen: Array | None = None) -> tuple[Array, Array]:
    """Return the levels, the nearest or those `chosen`, and each output channel's scale: its largest weight is the last
    level.
    """
    others = tuple(at for at in range(weight.ndim) if at != axis)
    largest = np.abs(weight).max(axis=others)
    scale = np.maximum(largest / MOST, LEAST_SCALE).astype(np.float32)
    if chosen is not None:
        return chosen, scale
    levels = np.rint(weight / _along(scale, axis, weight.ndim))
    return np.clip(levels, -MOST, MOST).astype(np.int8), scale


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
