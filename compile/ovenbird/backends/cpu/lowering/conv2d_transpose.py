"""Lowering of transposed convolutions: zeros between the pixels, then an ordinary convolution with the kernel turned.

y = conv_transpose(x, w, stride s) is the convolution of x with s - 1 zeros between its pixels and a border of
dilation * (kernel - 1) - padding, by w turned by half a turn (Dumoulin & Visin 2016, https://arxiv.org/abs/1603.07285).
The zeros cost s * s times the arithmetic, still far less than a scatter without a schedule.

Example: `ConvTranspose2d(64, 32, 2, stride=2)` becomes a 2x2 convolution of an image of twice the size.
"""

from __future__ import annotations

import numpy as np
from tvm import relax

from ovenbird.backends.cpu.lowering.context import CpuLowering
from ovenbird.backends.cpu.lowering.conv2d import emit_convolution
from ovenbird.lowering.value import Value
from ovenbird.lowering.walk import Lowered
from ovenbird.operators import layout
from ovenbird.operators.conv2d import Window
from ovenbird_runtime.tensors.arrays import Array


def lower_conv2d_transpose(lowering: CpuLowering, call: relax.Call) -> Lowered | None:
    """Lower a transposed 2-d convolution with constant weights."""
    data, weight = (lowering.value(arg) for arg in call.args)
    attrs = call.attrs
    supported = attrs.data_layout == "NCHW" and attrs.kernel_layout == "IOHW" and lowering.form.is_image(data)
    if not supported or weight.constant is None:
        return None
    kernel = turned_kernel(weight.constant, int(attrs.groups))
    dilation = (int(attrs.dilation[0]), int(attrs.dilation[1]))
    reach = [dilation[axis] * (kernel.shape[2 + axis] - 1) for axis in (0, 1)]
    padding, extra = [int(p) for p in attrs.padding], [int(p) for p in attrs.output_padding]
    top, left = reach[0] - padding[0], reach[1] - padding[1]
    bottom, right = reach[0] - padding[2] + extra[0], reach[1] - padding[3] + extra[1]
    if min(top, left, bottom, right) < 0:
        return None
    stride = (int(attrs.strides[0]), int(attrs.strides[1]))
    window = Window((kernel.shape[2], kernel.shape[3]), (1, 1), (top, left, bottom, right), dilation)
    return emit_convolution(lowering, spread(lowering, data, stride), kernel, window, int(attrs.groups))


def turned_kernel(weight: Array, groups: int) -> Array:
    """[I, O/g, KH, KW] of the transposed convolution -> [O, I/g, KH, KW] of the ordinary one."""
    inputs, group_out, height, width = weight.shape
    grouped = weight.reshape(groups, inputs // groups, group_out, height, width).swapaxes(1, 2)
    turned = grouped.reshape(groups * group_out, inputs // groups, height, width)[:, :, ::-1, ::-1]
    return np.ascontiguousarray(turned)


def spread(lowering: CpuLowering, data: Value, stride: tuple[int, int]) -> Value:
    """Return the image with zeros between its pixels, so that they are `stride` apart."""
    if stride == (1, 1):
        return data
    batch, channels, height, width = data.shape
    shape = (batch, channels, (height - 1) * stride[0] + 1, (width - 1) * stride[1] + 1)
    blocked = lowering.builder.emit_te(layout.spread, lowering.form.image(data), stride, primfunc_name_hint="spread")
    return Value(shape, data.dtype, image=blocked)
