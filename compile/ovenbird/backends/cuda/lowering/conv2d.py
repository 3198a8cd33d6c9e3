"""Lowering of convolutions and batch norms for a GPU: norms folded, bias added in float32, borders taken in.

Example: conv2d -> batch_norm becomes one function whose weights are scaled and whose bias is the norm's shift.
"""

from __future__ import annotations

import numpy as np
from tvm import relax

from ovenbird.backends.cuda.lowering.context import CudaLowering
from ovenbird.lowering.value import FLOATS, Value
from ovenbird.lowering.walk import Lowered
from ovenbird.lowering.windows import conv2d_window
from ovenbird.operators import channels_last
from ovenbird.passes.fold_batch_norm import norm_behind, scale_and_shift, scaled_weight
from ovenbird.passes.shapes import static_shape
from ovenbird_runtime.tensors.arrays import Array


def lower_conv2d(lowering: CudaLowering, call: relax.Call) -> Lowered | None:
    """Lower a 2-d convolution with constant weights, and the batch norm behind it."""
    data, attrs = lowering.value(call.args[0]), call.attrs
    kernel = original_constant(call.args[1])
    if attrs.data_layout != "NCHW" or attrs.kernel_layout != "OIHW" or kernel is None or data.dtype not in FLOATS:
        return None
    bias = np.zeros(kernel.shape[0])
    reader = lowering.sole_reader.get(lowering.current)
    if (folded := norm_behind(reader)) is not None:
        scale, bias = folded
        kernel = scaled_weight(kernel, scale)
        lowering.folded_norms.add(reader)
    window = conv2d_window(attrs, kernel.shape, data.padding)
    inner = data.unpadded or data
    image = lowering.form.image(inner)
    groups = int(attrs.groups)
    depthwise = kernel.shape[1] == 1 and groups > 1
    weight = depthwise_weight(kernel) if depthwise else product_weight(kernel, groups)
    options: dict[str, object] = {"window": window, "out_dtype": lowering.precision}
    shape = static_shape(call) or ()
    result = lowering.emit_te(
        "depthwise_conv2d" if depthwise else "conv2d",
        channels_last.depthwise_conv2d if depthwise else channels_last.conv2d,
        image,
        relax.const(weight.astype(lowering.precision)),
        relax.const(bias.astype(np.float32)),
        **options,
    )
    return Value(shape, lowering.precision, image=result)


def original_constant(expr: relax.Expr) -> Array | None:
    """Return a constant of the network as it was written, before it took the compile's precision."""
    value = getattr(expr, "value", None)
    return value.numpy() if value is not None and hasattr(value, "numpy") else None


def product_weight(kernel: Array, groups: int) -> Array:
    """OIHW -> [groups, O / groups, KH * KW * I]: the order in which a window is read channels last."""
    outputs = kernel.shape[0]
    return np.ascontiguousarray(kernel.transpose(0, 2, 3, 1)).reshape(groups, outputs // groups, -1)


def depthwise_weight(kernel: Array) -> Array:
    """O1HW -> [KH, KW, O]."""
    return np.ascontiguousarray(kernel[:, 0].transpose(1, 2, 0))


def lower_batch_norm(lowering: CudaLowering, call: relax.Call) -> Lowered | None:
    """Lower a batch norm: gone if it was folded into the convolution before it, else one multiply and one add."""
    data = lowering.value(call.args[0])
    if call in lowering.folded_norms:
        return (data,)
    folded = scale_and_shift(call)
    if folded is None or int(call.attrs.axis) != 1 or len(data.shape) != 4:
        return None
    emit, values = lowering.builder.emit, lowering.form
    scale, shift = (relax.const(term.astype(lowering.precision)) for term in folded)  # [C]: the last axis of an image
    scaled = emit(relax.op.multiply(values.image(data), scale))
    return (Value(data.shape, lowering.precision, image=emit(relax.op.add(scaled, shift))),)
