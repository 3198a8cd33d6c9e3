"""Reshapes out of the way: everything that keeps the elements' order is one view, and elementwise maps go before it.

`relu(reshape(x) + bias)` becomes `reshape(relu(x + bias))`, so that the map fuses into the product that made `x`.

Example: with `y = reshape(x, [1, 197, 768])`, `gelu(y)` is emitted as `reshape(gelu(x), [1, 197, 768])`.
"""

from __future__ import annotations

from tvm import relax

from ovenbird.backends.cpu.lowering.context import CpuLowering
from ovenbird.lowering.operators.names import SHAPERS
from ovenbird.lowering.value import Value
from ovenbird.lowering.walk import Lowered
from ovenbird.passes.shapes import static_shape


def keeps_order(call: relax.Call) -> bool:
    """Return True if the call's result has the elements of its first argument in the same order."""
    before, after = static_shape(call.args[0]), static_shape(call)
    if before is None or after is None:
        return False
    name = call.op.name
    if name == "relax.permute_dims":
        axes = call.attrs.axes
        order = [int(axis) for axis in axes] if axes is not None else list(reversed(range(len(before))))
        moved = [axis for axis in order if before[axis] != 1]
        return moved == sorted(moved)
    if name == "relax.broadcast_to":
        return [extent for extent in before if extent != 1] == [extent for extent in after if extent != 1]
    return name in SHAPERS


def source(lowering: CpuLowering, expr: relax.Expr) -> relax.Expr:
    """Return what `expr` is a reshape of, or `expr` itself."""
    while isinstance(expr, relax.Var):
        bound = lowering.builder.lookup_binding(expr)
        if not isinstance(bound, relax.Call) or getattr(bound.op, "name", "") != "relax.reshape":
            break
        expr = bound.args[0]
    return expr


def reshaped(lowering: CpuLowering, expr: relax.Expr, shape: tuple[int, ...]) -> relax.Expr:
    """`expr` with another shape, as one reshape of whatever it was made from."""
    expr = source(lowering, expr)
    if static_shape(expr) == shape:
        return expr
    return lowering.builder.emit(relax.op.reshape(expr, shape))


def lower_shaper(lowering: CpuLowering, call: relax.Call) -> Lowered | None:
    """Lower an operator that keeps the elements' order to a reshape."""
    shape = static_shape(call)
    data = lowering.value(call.args[0])
    if shape is None or not keeps_order(call) or data.constant is not None or data.dtype == "":
        return None
    if data.shape == shape:
        return data
    return Value(shape, data.dtype, plain=reshaped(lowering, lowering.form.plain(data), shape))


def lower_map(lowering: CpuLowering, call: relax.Call) -> Lowered | None:
    """Lower an elementwise map of a reshaped value, done before the reshape where all operands allow it."""
    shape = static_shape(call)
    tensors = [arg for arg in call.args if isinstance(arg.ty, relax.TensorType)]
    if shape is None or not shape or len(tensors) > 2:
        return None
    values = [lowering.value(arg) for arg in tensors]
    inner = inner_shape(lowering, values, shape)
    if inner is None:
        return None
    moved = [operand(lowering, value, shape, inner) for value in values]
    if any(expression is None for expression in moved):
        return None
    operands = iter(moved)
    arguments = [next(operands) if isinstance(arg.ty, relax.TensorType) else arg for arg in call.args]
    result = lowering.builder.emit(relax.Call(call.op, arguments, call.attrs, call.ty_args))
    return Value(shape, str(call.ty.dtype), plain=reshaped(lowering, result, shape))


def inner_shape(lowering: CpuLowering, values: list[Value], shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the shape before the reshape of the first value that is one, if that value has the result's shape."""
    for value in values:
        if value.constant is None and value.plain is not None and value.shape == shape:
            before = static_shape(source(lowering, value.plain))
            if before is not None and before != shape:
                return before
    return None


def operand(lowering: CpuLowering, value: Value, shape: tuple[int, ...], inner: tuple[int, ...]) -> relax.Expr | None:
    """Return the value as an operand of the map on `inner`; None where its broadcast has no such form."""
    if value.constant is not None:
        array = value.constant
        if array.size == 1:
            return relax.const(array.reshape(()), value.dtype)
        if array.size == inner[-1] == shape[-1] and array.shape[-1] == array.size:
            return relax.const(array.reshape(-1), value.dtype)
        return relax.const(array.reshape(inner), value.dtype) if array.shape == shape else None
    if value.shape != shape:
        return None
    return reshaped(lowering, lowering.form.plain(value), inner)
