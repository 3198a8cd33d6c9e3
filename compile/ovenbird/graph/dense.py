"""Lowering of matrix products with a constant right-hand side."""

from __future__ import annotations

from tvm import relax

from ovenbird.graph.lowering import Lowered, Lowering, handles, static_shape
from ovenbird.graph.values import Value
from ovenbird.operators import layout, matmul


@handles("relax.matmul")
def lower_matmul(lowering: Lowering, call: relax.Call) -> Lowered | None:
    """[..., M, K] x constant [K, N], with the weights packed by column blocks."""
    data, weight = (lowering.value(arg) for arg in call.args)
    shape = static_shape(call)
    if weight.constant is None or weight.constant.ndim != 2 or len(data.shape) < 2 or shape is None:
        return None
    if data.dtype != "float32":
        return None
    packed = relax.const(layout.pack_matmul_weight(weight.constant, lowering.block))
    result = lowering.emit_te(
        "matmul",
        matmul.matmul_packed,
        lowering.values.plain(data),
        packed,
        columns=weight.constant.shape[1],
    )
    return Value(shape, data.dtype, plain=result)
