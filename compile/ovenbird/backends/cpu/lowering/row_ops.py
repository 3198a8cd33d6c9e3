"""Lowering of softmax and layer norm over the last axis (layer norm: also over the last few, taken as one)."""

from __future__ import annotations

import math

from tvm import relax

from ovenbird.backends.cpu.lowering.context import CpuLowering
from ovenbird.backends.cpu.lowering.movements.reshape import reshaped
from ovenbird.lowering.value import Value
from ovenbird.lowering.walk import Lowered
from ovenbird.operators import row_ops
from ovenbird.passes.shapes import static_shape


def lower_softmax(lowering: CpuLowering, call: relax.Call) -> Lowered | None:
    """Lower a softmax over the last axis of a float32 tensor."""
    data = lowering.value(call.args[0])
    shape = static_shape(call)
    if (
        shape is None
        or len(shape) < 2
        or data.dtype != "float32"
        or int(call.attrs.axis) % len(shape) != len(shape) - 1
    ):
        return None
    plain = reshaped(lowering, lowering.form.plain(data), (math.prod(shape[:-1]), shape[-1]))
    result = lowering.emit_te("softmax", row_ops.softmax, plain, lanes=lowering.block)
    return Value(shape, data.dtype, plain=reshaped(lowering, result, shape))


def lower_layer_norm(lowering: CpuLowering, call: relax.Call) -> Lowered | None:
    """Lower a layer norm over the last axes of a float32 tensor."""
    data, scale, shift = (lowering.value(arg) for arg in call.args[:3])
    shape = static_shape(call)
    if shape is None or data.dtype != "float32":
        return None
    axes = sorted(int(axis) % len(shape) for axis in call.attrs.axes)
    if axes != list(range(len(shape) - len(axes), len(shape))) or len(axes) == len(shape):
        return None
    columns = math.prod(shape[axes[0] :])
    tensors = [
        reshaped(lowering, lowering.form.plain(value), wanted)
        for value, wanted in ((data, (math.prod(shape[: axes[0]]), columns)), (scale, (columns,)), (shift, (columns,)))
    ]
    result = lowering.emit_te(
        "layer_norm", row_ops.layer_norm, *tensors, epsilon=float(call.attrs.epsilon), lanes=lowering.block
    )
    return Value(shape, data.dtype, plain=reshaped(lowering, result, shape))
