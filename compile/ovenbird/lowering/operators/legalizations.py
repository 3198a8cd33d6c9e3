"""Operators that become tensor expressions of our own where TVM's are not right, whatever the backend.

Example: `relax.transform.LegalizeOps(LEGALIZATIONS)`.
"""

from __future__ import annotations

from typing import Any

import tvm
from tvm import relax, te, tirx

from ovenbird.operators.movements.slice_scatter import slice_scatter
from ovenbird.operators.quantized import plain
from ovenbird.operators.reductions import plain_norms
from ovenbird.operators.reductions.arg_extreme import arg_extreme
from ovenbird.operators.reductions.extreme import extreme
from ovenbird.passes.floats.keep_rounding import hidden
from ovenbird.passes.shapes import static_shape


def _arg_extreme(largest: bool) -> Any:
    def legalize(builder: relax.BlockBuilder, call: relax.Call) -> relax.Expr:
        axis = call.attrs.axis
        return builder.call_te(
            arg_extreme,
            call.args[0],
            None if axis is None else int(axis),
            bool(call.attrs.keepdims),
            largest,
            str(call.ty.dtype),
            primfunc_name_hint="argmax" if largest else "argmin",
        )

    return legalize


def _extreme(largest: bool) -> Any:
    def legalize(builder: relax.BlockBuilder, call: relax.Call) -> relax.Expr:
        rank = len(call.args[0].ty.shape.values)
        axes = range(rank) if call.attrs.axis is None else _axes(call, call.attrs.axis)
        hint = "max" if largest else "min"
        return builder.call_te(
            extreme, call.args[0], list(axes), bool(call.attrs.keepdims), largest, primfunc_name_hint=hint
        )

    return legalize


def _layer_norm(builder: relax.BlockBuilder, call: relax.Call) -> relax.Expr:
    axes = _axes(call, call.attrs.axes)
    return builder.call_te(plain_norms.layer_norm, *call.args, axes, float(call.attrs.epsilon))


def _instance_norm(builder: relax.BlockBuilder, call: relax.Call) -> relax.Expr:
    channel, axes = _axes(call, [call.attrs.channel_axis])[0], _axes(call, call.attrs.axes)
    return builder.call_te(plain_norms.instance_norm, *call.args, channel, axes, float(call.attrs.epsilon))


def _group_norm(builder: relax.BlockBuilder, call: relax.Call) -> relax.Expr:
    channel, axes = _axes(call, [call.attrs.channel_axis])[0], _axes(call, call.attrs.axes)
    groups = int(call.attrs.num_groups)
    return builder.call_te(plain_norms.group_norm, *call.args, groups, channel, axes, float(call.attrs.epsilon))


def _quantize(builder: relax.BlockBuilder, call: relax.Call) -> relax.Expr:
    axis, dtype = int(call.attrs.axis), str(call.attrs.out_dtype)
    return builder.call_te(plain.quantize, *call.args, axis, dtype, primfunc_name_hint="quantize")


def _slice_scatter(builder: relax.BlockBuilder, call: relax.Call) -> relax.Expr:
    data, source, *numbers = call.args
    shape, part = static_shape(data), static_shape(source)
    start, _, step = (getattr(number, "value", None) for number in numbers)
    if shape is None or part is None or start is None or step is None or 0 in part:
        return call.op.get_attr("FLegalize")(builder, call)
    (axis,) = _axes(call, [call.attrs.axis])
    first = int(start) + shape[axis] if int(start) < 0 else int(start)
    return builder.call_te(
        slice_scatter, data, source, axis, max(first, 0), int(step), primfunc_name_hint="slice_scatter"
    )


def _with_zero(builder: relax.BlockBuilder, call: relax.Call) -> relax.Expr:
    """Multiply a float with 0, or divide 0 by it, which TVM would answer with 0: of infinity and NaN it is NaN."""
    multiplies = call.op.name == "relax.multiply"
    dtype = str(call.ty.dtype)
    zeros = [_is_zero(argument) for argument in call.args]
    if not any(zeros[: 2 if multiplies else 1]) or all(zeros) or not dtype.startswith("float"):
        return call.op.get_attr("FLegalize")(builder, call)
    value, zero = call.args[1 if zeros[0] else 0], tirx.const(0.0, dtype)
    if static_shape(value) != static_shape(call):
        return call.op.get_attr("FLegalize")(builder, call)

    def compute(data: te.Tensor) -> te.Tensor:
        if multiplies:
            return te.compute(data.shape, lambda *at: tirx.Mul(data(*at), hidden(zero)), "T_multiply")
        return te.compute(data.shape, lambda *at: tirx.Div(hidden(zero), data(*at)), "T_divide")

    return builder.call_te(compute, value, primfunc_name_hint="multiply" if multiplies else "divide")


def _is_zero(value: relax.Expr) -> bool:
    """Return whether an expression is the constant 0."""
    if not isinstance(value, tvm.ir.GenericConst):
        return False
    number = value.value.numpy()
    return bool(number.size == 1 and number == 0)


def _axes(call: relax.Call, axes: Any) -> list[int]:
    """Return axes counted from the first, in ascending order."""
    return sorted(int(axis) % len(call.args[0].ty.shape.values) for axis in axes)


LEGALIZATIONS = {
    "relax.divide": _with_zero,
    "relax.multiply": _with_zero,
    "relax.argmax": _arg_extreme(True),
    "relax.argmin": _arg_extreme(False),
    "relax.max": _extreme(True),
    "relax.min": _extreme(False),
    "relax.nn.group_norm": _group_norm,
    "relax.nn.instance_norm": _instance_norm,
    "relax.nn.layer_norm": _layer_norm,
    "relax.quantize": _quantize,
    "relax.slice_scatter": _slice_scatter,
}
"""By the operator's name."""
