"""Lowering of operators that keep images blocked: elementwise maps, pooling, concatenation, spatial means."""

from __future__ import annotations

import numpy as np
from tvm import relax

from ovenbird.graph.lowering import Lowered, Lowering, handles, static_shape
from ovenbird.graph.values import Value
from ovenbird.operators import pooling
from ovenbird.operators.conv2d import Window

#: Maps that give a finite value for the zeros in the padding lanes.
UNARY = tuple(
    f"relax.{name}"
    for name in ["nn.relu", "nn.relu6", "nn.silu", "nn.gelu", "nn.gelu_tanh", "nn.leakyrelu", "nn.softplus", "nn.selu", "sigmoid", "tanh", "clip", "exp", "abs", "negative", "erf", "sqrt", "square", "floor", "ceil", "round", "sin", "cos"]
)
BINARY = tuple(f"relax.{name}" for name in ["add", "subtract", "multiply", "maximum", "minimum", "divide"])


@handles(*UNARY)
def lower_unary(lowering: Lowering, call: relax.Call) -> Lowered | None:
    """An elementwise map of a blocked image; its further arguments are scalars."""
    data = lowering.value(call.args[0])
    if not data.is_image or data.blocked is None:
        return None
    arguments = [data.blocked, *call.args[1:]]
    blocked = lowering.builder.emit(relax.Call(call.op, arguments, call.attrs, call.ty_args))
    return Value(data.shape, data.dtype, blocked=blocked)


@handles(*BINARY)
def lower_binary(lowering: Lowering, call: relax.Call) -> Lowered | None:
    """An elementwise map of two values, where one at least is a blocked image."""
    shape = static_shape(call)
    if not all(isinstance(arg.ty, relax.TensorType) for arg in call.args) or shape is None:
        return None
    left, right = (lowering.value(arg) for arg in call.args)
    if len(shape) != 4 or (left.blocked is None and right.blocked is None):
        return None
    name = call.op.name
    if name == "relax.divide" and right.constant is None and shape[1] % lowering.block:
        return None  # zero by zero in the padding lanes
    operands = []
    for operand, other in ((left, right), (right, left)):
        expression = blocked_operand(lowering, operand, shape, pad_with_one=name == "relax.divide")
        if expression is None or (operand.shape != shape and other.shape != shape):
            return None
        operands.append(expression)
    blocked = lowering.builder.emit(relax.Call(call.op, operands, call.attrs, call.ty_args))
    return Value(shape, left.dtype, blocked=blocked)


def blocked_operand(lowering: Lowering, value: Value, shape: tuple[int, ...], pad_with_one: bool) -> relax.Expr | None:
    """The operand in a form that broadcasts against a blocked image of `shape`; None if there is none."""
    if value.dtype != "float32":
        return None
    if value.constant is not None:
        if value.constant.size == 1:
            return relax.const(value.constant.reshape(()), value.dtype)
        constant = value.constant.reshape((1,) * (4 - value.constant.ndim) + value.constant.shape)
        if constant.shape[1] != shape[1]:
            return None
        if pad_with_one:
            missing = -constant.shape[1] % lowering.block
            constant = np.pad(constant, ((0, 0), (0, missing), (0, 0), (0, 0)), constant_values=1)
        return lowering.values.blocked(Value(constant.shape, value.dtype, constant=constant))
    if not value.is_image or value.shape[1] != shape[1]:
        return None
    return lowering.values.blocked(value)


@handles("relax.nn.max_pool2d")
def lower_max_pool2d(lowering: Lowering, call: relax.Call) -> Lowered | None:
    """Max pooling, also with a ceiled output size."""
    return lower_pool(lowering, call, "max_pool2d")


@handles("relax.nn.avg_pool2d")
def lower_avg_pool2d(lowering: Lowering, call: relax.Call) -> Lowered | None:
    """Average pooling where every window counts the same number of pixels."""
    attrs = call.attrs
    if any(int(p) for p in attrs.padding) and not attrs.count_include_pad:
        return None
    return lower_pool(lowering, call, "sum_pool2d")


def lower_pool(lowering: Lowering, call: relax.Call, name: str) -> Lowered | None:
    data, attrs = lowering.value(call.args[0]), call.attrs
    shape = static_shape(call)
    if not data.is_image or attrs.layout != "NCHW" or shape is None:
        return None
    size, stride, dilation = ([int(v) for v in vs] for vs in (attrs.pool_size, attrs.strides, attrs.dilation))
    padding = [int(p) for p in attrs.padding]
    for axis in (0, 1):  # a ceiled output reads past the padding
        reach = (shape[2 + axis] - 1) * stride[axis] + (size[axis] - 1) * dilation[axis] + 1
        missing = reach - (data.shape[2 + axis] + padding[axis] + padding[2 + axis])
        if missing > 0 and name != "max_pool2d":
            return None
        padding[2 + axis] += max(0, missing)
    window = Window((size[0], size[1]), (stride[0], stride[1]), tuple(padding), (dilation[0], dilation[1]))
    operator = getattr(pooling, name)
    blocked = lowering.emit_te(
        name, operator, lowering.values.blocked(data), window=window, output=(shape[2], shape[3])
    )
    if name == "sum_pool2d":
        share = relax.const(np.float32(1.0 / (size[0] * size[1])))
        blocked = lowering.builder.emit(relax.op.multiply(blocked, share))
    return Value(shape, data.dtype, blocked=blocked)


@handles("relax.nn.adaptive_avg_pool2d")
def lower_adaptive_avg_pool2d(lowering: Lowering, call: relax.Call) -> Lowered | None:
    """Global pooling; a pooling to the size that is there already is nothing at all."""
    data = lowering.value(call.args[0])
    shape = static_shape(call)
    if not data.is_image or shape is None:
        return None
    if shape == data.shape:
        return data
    return emit_spatial_mean(lowering, data) if shape[2:] == (1, 1) else None


@handles("relax.mean")
def lower_mean(lowering: Lowering, call: relax.Call) -> Lowered | None:
    """The mean over height and width, with or without the two axes kept."""
    data = lowering.value(call.args[0])
    if not data.is_image or data.blocked is None or call.attrs.axis is None:
        return None
    if sorted(int(axis) % 4 for axis in call.attrs.axis) != [2, 3]:
        return None
    mean = emit_spatial_mean(lowering, data)
    if call.attrs.keepdims:
        return mean
    flat = lowering.builder.emit(relax.op.reshape(lowering.values.plain(mean), data.shape[:2]))
    return Value(data.shape[:2], data.dtype, plain=flat)


def emit_spatial_mean(lowering: Lowering, data: Value) -> Value:
    """[N, C, H, W] -> [N, C, 1, 1]."""
    blocked = lowering.emit_te("spatial_mean", pooling.spatial_mean, lowering.values.blocked(data))
    return Value((*data.shape[:2], 1, 1), data.dtype, blocked=blocked)


@handles("relax.concat")
def lower_concat(lowering: Lowering, call: relax.Call) -> Lowered | None:
    """Concatenation of channels, where no padding lanes would end up in the middle."""
    parts = call.args[0]
    known = lowering.known.get(parts) if isinstance(parts, relax.Var) else None
    values = list(known) if isinstance(known, tuple) else [lowering.value(field) for field in parts.fields]
    shape = static_shape(call)
    axis = call.attrs.axis
    if shape is None or len(shape) != 4 or axis is None or int(axis) % 4 != 1:
        return None
    aligned = all(value.shape[1] % lowering.block == 0 for value in values[:-1])
    if not aligned or all(value.blocked is None for value in values) or not all(v.is_image for v in values):
        return None
    blocked = [lowering.values.blocked(value) for value in values]
    return Value(shape, values[0].dtype, blocked=lowering.builder.emit(relax.op.concat(blocked, axis=1)))
