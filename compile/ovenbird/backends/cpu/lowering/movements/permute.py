"""Lowering of permutations of axes: axes that stay side by side are moved as one, so that rows are long.

Example: a channel shuffle of [1, 232, 14, 14] exchanges two axes of [2, 116, 196]: rows of 196 elements are copied.
"""

from __future__ import annotations

import math

from tvm import relax, topi

from ovenbird.backends.cpu.lowering.context import CpuLowering
from ovenbird.backends.cpu.lowering.movements.reshape import reshaped
from ovenbird.lowering.value import Value
from ovenbird.lowering.walk import Lowered
from ovenbird.operators.movements.transposition import MOVEMENT
from ovenbird.passes.shapes import static_shape


def lower_permute(lowering: CpuLowering, call: relax.Call) -> Lowered | None:
    """Lower a permutation that exchanges two axes, or in which some can be taken together; others stay as they are."""
    before, after = static_shape(call.args[0]), static_shape(call)
    data = lowering.value(call.args[0])
    if before is None or after is None or data.constant is not None:
        return None
    axes = call.attrs.axes
    order = [int(axis) for axis in axes] if axes is not None else list(reversed(range(len(before))))
    runs = runs_of([axis for axis in order if before[axis] != 1], before)
    if not runs:
        return None
    places = sorted(range(len(runs)), key=lambda index: runs[index][0])
    extents = [math.prod(before[axis] for axis in run) for run in runs]
    moves = [places.index(index) for index in range(len(runs))]
    swaps = moves in ([1, 0], [0, 2, 1])
    if len(runs) == len(order) and not swaps:
        return None
    joined = reshaped(lowering, lowering.form.plain(data), tuple(extents[index] for index in places))
    if swaps:
        attributes = {MOVEMENT: "swap"}
        moved = lowering.builder.emit_te(
            topi.transpose, joined, moves, primfunc_name_hint="transpose", primfunc_attrs=attributes
        )
    else:
        moved = lowering.builder.emit(relax.op.permute_dims(joined, moves))
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
