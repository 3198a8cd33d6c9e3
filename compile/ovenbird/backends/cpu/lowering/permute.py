"""Lowering of permutations of axes: axes that stay side by side are moved as one, so that rows are long.

Example: a channel shuffle of [1, 232, 14, 14] exchanges two axes of [2, 116, 196]: rows of 196 elements are copied.
"""

from __future__ import annotations

import math

from tvm import relax

from ovenbird.backends.cpu.lowering.context import CpuLowering
from ovenbird.backends.cpu.lowering.reshape import reshaped
from ovenbird.lowering.value import Value
from ovenbird.lowering.walk import Lowered
from ovenbird.passes.shapes import static_shape


def lower_permute(lowering: CpuLowering, call: relax.Call) -> Lowered | None:
    """Lower a permutation in which some axes can be taken together; others stay as they are."""
    before, after = static_shape(call.args[0]), static_shape(call)
    data = lowering.value(call.args[0])
    if before is None or after is None or data.constant is not None:
        return None
    axes = call.attrs.axes
    order = [int(axis) for axis in axes] if axes is not None else list(reversed(range(len(before))))
    runs = runs_of([axis for axis in order if before[axis] != 1], before)
    if not runs or len(runs) == len(order):
        return None
    places = sorted(range(len(runs)), key=lambda index: runs[index][0])
    extents = [math.prod(before[axis] for axis in run) for run in runs]
    joined = reshaped(lowering, lowering.form.plain(data), tuple(extents[index] for index in places))
    moved = lowering.builder.emit(relax.op.permute_dims(joined, [places.index(index) for index in range(len(runs))]))
    return Value(after, data.dtype, plain=reshaped(lowering, moved, after))


def runs_of(order: list[int], shape: tuple[int, ...]) -> list[list[int]]:
    """Return the axes in their new order, those that were neighbours before and are still together.

    Axes of one element do not count: they may lie between neighbours.
    """
    kept = [axis for axis, extent in enumerate(shape) if extent != 1]
    runs: list[list[int]] = []
    for axis in order:
        if runs and kept.index(axis) == kept.index(runs[-1][-1]) + 1:
            runs[-1].append(axis)
        else:
            runs.append([axis])
    return runs
