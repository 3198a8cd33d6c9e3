"""Lowering of choices along an axis whose places are known: borders that reflect, rolls, flips of a few.

Example: `ReflectionPad2d(1)` is two of them, each a copy and two single elements a row.
"""

from __future__ import annotations

from tvm import relax

from ovenbird.backends.cpu.lowering.context import CpuLowering
from ovenbird.lowering.operators.own import select
from ovenbird.lowering.value import Value
from ovenbird.lowering.walk import Lowered
from ovenbird.operators.movements.selection import MOST_RUNS, Selection
from ovenbird.passes.shapes import static_shape


def lower_take(lowering: CpuLowering, call: relax.Call) -> Lowered | None:
    """Lower a choice of several places in few runs; all others stay as they are."""
    data, places = (lowering.value(argument) for argument in call.args)
    shape = static_shape(call)
    if shape is None or call.attrs.axis is None or data.constant is not None or places.constant is None:
        return None
    axis, wanted = int(call.attrs.axis) % len(data.shape), places.constant
    if wanted.ndim != 1 or wanted.size < 2 or wanted.min() < 0 or wanted.max() >= data.shape[axis]:
        return None
    chosen = [int(place) for place in wanted]
    if len(Selection.of(axis, chosen).runs) > MOST_RUNS or 0 in shape:
        return None
    return Value(shape, data.dtype, plain=select(lowering, lowering.form.plain(data), axis, chosen))
