"""Lowering of permutations of axes: axes that stay side by side are moved as one, so that rows are long.

Two in a row may be one exchange: a caption's keys [197, 12, 64] go to heads, and from there to columns, which together
is the transposition of [197, 768].

Example: a channel shuffle of [1, 232, 14, 14] exchanges two axes of [2, 116, 196]: rows of 196 elements are copied.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from tvm import relax, topi

from ovenbird.backends.cpu.lowering.context import CpuLowering
from ovenbird.backends.cpu.lowering.movements.reshape import reshaped
from ovenbird.lowering.value import Value
from ovenbird.lowering.walk import Lowered
from ovenbird.operators.movements.transposition import MOVEMENT
from ovenbird.passes.shapes import static_shape


class Permutation(NamedTuple):
    """What a permutation moves: `source` with its axes joined to `extents`, which come in the order `moves`."""

    source: relax.Expr
    order: list[int]
    extents: list[int]
    moves: list[int]

    @property
    def swaps(self) -> bool:
        """Whether two axes change places, the last one of them, and no other moves."""
        return self.moves in ([1, 0], [0, 2, 1])


def lower_permute(lowering: CpuLowering, call: relax.Call) -> Lowered | None:
    """Lower a permutation that exchanges two axes, or in which some can be taken together; others stay as they are."""
    found = permutation_of(call.args[0], order_of(call))
    whole = permutation_of(*through_permutations(lowering, call))
    if whole is not None and whole.swaps:  # not any: rows that lie side by side already are read faster
        found = whole
    after = static_shape(call)
    if found is None or after is None:
        return None
    data = lowering.value(found.source)
    if data.constant is not None or (len(found.moves) == len(found.order) and not found.swaps):
        return None
    joined = reshaped(lowering, lowering.form.plain(data), tuple(found.extents))
    if found.swaps:
        attributes = {MOVEMENT: "swap"}
        moved = lowering.builder.emit_te(
            topi.transpose, joined, found.moves, primfunc_name_hint="transpose", primfunc_attrs=attributes
        )
    else:
        moved = lowering.builder.emit(relax.op.permute_dims(joined, found.moves))
    return Value(after, data.dtype, plain=reshaped(lowering, moved, after))


def permutation_of(source: relax.Expr, order: list[int]) -> Permutation | None:
    """Return a permutation with neighbours that stay together as one axis; None of one element or an unknown shape."""
    before = static_shape(source)
    if before is None:
        return None
    runs = runs_of([axis for axis in order if before[axis] != 1], before)
    if not runs:
        return None
    places = sorted(range(len(runs)), key=lambda index: runs[index][0])
    extents = [math.prod(before[axis] for axis in runs[index]) for index in places]
    return Permutation(source, order, extents, [places.index(index) for index in range(len(runs))])


def through_permutations(lowering: CpuLowering, call: relax.Call) -> tuple[relax.Expr, list[int]]:
    """Return what a permutation moves and the order of its axes; of a permutation of one, those of both together."""
    source, order = call.args[0], order_of(call)
    while isinstance(source, relax.Var):
        inner = lowering.definitions.get(source)
        if not isinstance(inner, relax.Call) or getattr(inner.op, "name", "") != call.op.name:
            break
        within = order_of(inner)
        source, order = inner.args[0], [within[axis] for axis in order]
    return source, order


def order_of(call: relax.Call) -> list[int]:
    """Return the axes of a permutation, the last first where it says none."""
    if call.attrs.axes is not None:
        return [int(axis) for axis in call.attrs.axes]
    return list(reversed(range(len(static_shape(call) or ()))))


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
