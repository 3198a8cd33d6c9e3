"""Lowering of elementwise maps, which keep images blocked.

The lanes of the last block that hold no channel may become anything finite: weights are zero there, and `unpack` drops
them.

Example: `x * gate` with x [N, C, H, W] and gate [N, C, 1, 1] becomes one function of its own on blocked values.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from tvm import relax, topi

from ovenbird.backends.cpu.lowering.context import CpuLowering
from ovenbird.lowering.value import Value
from ovenbird.lowering.walk import INJECTIVE, Lowered
from ovenbird.operators.bfloat16 import sums as bfloat16
from ovenbird.passes.shapes import static_shape


def lower_unary(lowering: CpuLowering, call: relax.Call) -> Lowered | None:
    """Lower an elementwise map of a blocked image; its further arguments are scalars."""
    data = lowering.value(call.args[0])
    if not lowering.form.is_image(data) or not data.has_image:
        return None
    arguments = [lowering.form.image(data), *call.args[1:]]
    blocked = lowering.builder.emit(relax.Call(call.op, arguments, call.attrs, call.ty_args))
    return Value(data.shape, data.dtype, image=blocked)


def lower_binary(lowering: CpuLowering, call: relax.Call) -> Lowered | None:
    """Lower an elementwise map of two values, where one at least is a blocked image."""
    shape = static_shape(call)
    if not all(isinstance(arg.ty, relax.TensorType) for arg in call.args) or shape is None:
        return None
    left, right = (lowering.value(arg) for arg in call.args)
    if len(shape) != 4 or not (left.has_image or right.has_image):
        return None
    name = call.op.name
    if name == "relax.divide":
        if right.constant is not None:
            name, right = "relax.multiply", reciprocal(right)
        elif shape[1] % lowering.block:
            return None  # zero by zero in the padding lanes
    if left.shape != shape and right.shape != shape:
        return None
    operands = [blocked_operand(lowering, operand, shape) for operand in (left, right)]
    if operands[0] is None or operands[1] is None:
        return None
    operator = getattr(relax.op, name.removeprefix("relax."))
    if any(operand.constant is None and operand.shape != shape for operand in (left, right)):
        return Value(shape, left.dtype, image=emit_stretched(lowering, operator, operands))
    return Value(shape, left.dtype, image=lowering.builder.emit(operator(*operands)))


def lower_prelu(lowering: CpuLowering, call: relax.Call) -> Lowered | None:
    """max(x, 0) + slope * min(x, 0), with one constant slope a channel or one for all."""
    data, slope = (lowering.value(arg) for arg in call.args)
    if not lowering.form.is_image(data) or not data.has_image:
        return None
    if slope.constant is None or int(call.attrs.axis) % 4 != 1:
        return None
    if slope.constant.size not in (1, data.shape[1]):
        return None
    column = slope.constant.reshape(1, -1, 1, 1)
    factor = blocked_operand(lowering, Value(column.shape, slope.dtype, constant=column), data.shape)
    blocked, zero = lowering.form.image(data), relax.const(0.0, data.dtype)
    emit = lowering.builder.emit
    negative = emit(relax.op.multiply(emit(relax.op.minimum(blocked, zero)), factor))
    result = emit(relax.op.add(emit(relax.op.maximum(blocked, zero)), negative))
    return Value(data.shape, data.dtype, image=result)


def reciprocal(divisor: Value) -> Value:
    """Return the constant to multiply by instead of dividing by `divisor`: within one unit
    in the last place, and faster.
    """
    assert divisor.constant is not None
    inverse = (1.0 / divisor.constant.astype(np.float64)).astype(divisor.constant.dtype)
    return Value(divisor.shape, divisor.dtype, constant=inverse)


def emit_stretched(lowering: CpuLowering, operator: Callable[..., relax.Expr], operands: list[relax.Expr]) -> relax.Var:
    """Emit a map in which one operand is stretched to the other's shape, as a gate over the channels is.

    It must not fuse into what computes the gate: that would be computed again for every pixel. A function of its own,
    of a kind that no heavy operator takes in, keeps the two apart.
    """
    name = operator.__name__
    return lowering.builder.emit_te(
        getattr(topi, name), *operands, primfunc_name_hint=name, primfunc_attrs={"op_pattern": INJECTIVE}
    )


def blocked_operand(lowering: CpuLowering, value: Value, shape: tuple[int, ...]) -> relax.Expr | None:
    """Return the operand in a form that broadcasts against a blocked image of `shape`; None if there is none."""
    if value.dtype != "float32":
        return None
    if value.constant is not None:
        if value.constant.size == 1:
            return relax.const(value.constant.reshape(()), value.dtype)
        full_shape: tuple[int, ...] = (1,) * (4 - value.constant.ndim) + value.constant.shape
        if full_shape[1] != shape[1]:
            return None
        constant = value.constant.reshape(full_shape)
        return lowering.form.image(Value(full_shape, value.dtype, constant=constant))
    if not lowering.form.is_image(value) or value.shape[1] != shape[1]:
        return None
    if value.rounded is not None and value.shape == shape:  # a residual sum: so nothing reads the image in float32
        return lowering.builder.emit_te(bfloat16.widened, value.rounded, primfunc_name_hint="widen")
    return lowering.form.image(value)
