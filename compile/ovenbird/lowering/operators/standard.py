"""Relax's operators that are computed by kernels of our own: sorts, running sums, scatters.

TVM writes them as serial loops, or calls its own runtime for them, which a plan cannot.

Example: `relax.topk(x, 300, axis=1)` becomes `TopK(axis=1, count=300)`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import relax

from ovenbird.lowering.operators.own import emit_own
from ovenbird.lowering.quantized.constants import lower_constant_dequantize
from ovenbird.lowering.value import Value
from ovenbird.lowering.walk import Handlers, Lowered, Lowering
from ovenbird.operators.indexing.scan import Scan
from ovenbird.operators.indexing.scatter import Reduction, ScatterElements, ScatterSlices
from ovenbird.operators.indexing.sort import Sort
from ovenbird.operators.indexing.topk import TopK
from ovenbird.operators.writing.own import OwnOperator
from ovenbird.passes.shapes import static_shape

REDUCTIONS: dict[str, Reduction] = {
    "update": "none",
    "add": "sum",
    "mul": "product",
    "max": "maximum",
    "min": "minimum",
    "mean": "mean",
}
"""By Relax's names."""


def axis_of(call: relax.Call) -> int | None:
    """Return the axis of a call from 0; None where it has none, or its tensor is a number or of unknown shape."""
    shape = static_shape(call.args[0])
    if not shape or call.attrs.axis is None:
        return None
    return int(call.attrs.axis) % len(shape)


def lower_by(describe: Callable[[relax.Call, int], tuple[OwnOperator, tuple[int, ...]]]) -> Any:
    """Return a handler: `describe` gives the operator of a call and axis, and which of its outputs the call gives."""

    def lower(lowering: Lowering, call: relax.Call) -> Lowered | None:
        axis = axis_of(call)
        if axis is None or any(static_shape(argument) is None for argument in call.args):
            return None
        operator, chosen = describe(call, axis)
        found = emit_own(lowering, operator, list(call.args))
        values = (found,) if isinstance(found, Value) else found
        return values[chosen[0]] if len(chosen) == 1 else tuple(values[index] for index in chosen)

    return lower


def sort(call: relax.Call, axis: int) -> tuple[OwnOperator, tuple[int, ...]]:
    """`sort` gives values."""
    return Sort(axis, bool(call.attrs.descending)), (0,)


def argsort(call: relax.Call, axis: int) -> tuple[OwnOperator, tuple[int, ...]]:
    """`argsort` gives indices."""
    return Sort(axis, bool(call.attrs.descending), str(call.attrs.dtype)), (1,)


def topk(call: relax.Call, axis: int) -> tuple[OwnOperator, tuple[int, ...]]:
    """`topk` gives both, or one of them."""
    outputs = {"both": (0, 1), "values": (0,), "indices": (1,)}[str(call.attrs.ret_type)]
    count = min(int(call.attrs.k), (static_shape(call.args[0]) or ())[axis])
    return TopK(axis, count, bool(call.attrs.largest), str(call.attrs.dtype)), outputs


def cumsum(call: relax.Call, axis: int) -> tuple[OwnOperator, tuple[int, ...]]:
    """`cumsum`."""
    return Scan(axis, "sum", str(call.ty.dtype), bool(call.attrs.exclusive)), (0,)


def cumprod(call: relax.Call, axis: int) -> tuple[OwnOperator, tuple[int, ...]]:
    """`cumprod`."""
    return Scan(axis, "product", str(call.ty.dtype), bool(call.attrs.exclusive)), (0,)


def scatter_elements(call: relax.Call, axis: int) -> tuple[OwnOperator, tuple[int, ...]]:
    """`scatter_elements`."""
    return ScatterElements(axis, REDUCTIONS[str(call.attrs.reduction)]), (0,)


def lower_scatter_nd(lowering: Lowering, call: relax.Call) -> Lowered | None:
    """Lower `scatter_nd`, which has no axis."""
    if not all(static_shape(argument) for argument in call.args):
        return None
    return emit_own(lowering, ScatterSlices(REDUCTIONS[str(call.attrs.reduction)]), list(call.args))


STANDARD: Handlers = {
    "relax.argsort": (lower_by(argsort),),
    "relax.cumprod": (lower_by(cumprod),),
    "relax.cumsum": (lower_by(cumsum),),
    "relax.dequantize": (lower_constant_dequantize,),
    "relax.scatter_elements": (lower_by(scatter_elements),),
    "relax.scatter_nd": (lower_scatter_nd,),
    "relax.sort": (lower_by(sort),),
    "relax.topk": (lower_by(topk),),
}
"""For both tables of handlers."""
