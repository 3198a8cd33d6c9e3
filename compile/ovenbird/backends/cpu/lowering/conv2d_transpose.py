"""Lowering of transposed convolutions: by phases where they have a stride, else by an ordinary convolution.

An output pixel of phase t % s sees only every s-th tap of the kernel. All phases see the same pixels, so they are the
output channels of one convolution with kernels of ceil(K / s) taps, whose pixels are put side by side afterwards.

Where the strides do not divide the kernel, those kernels would be of zeros in part: a convolution a phase then, where
that is much less to do. What has a dilation, or a group a channel, gets zeros between the pixels, then a convolution
with the kernel turned.

y = conv_transpose(x, w, stride s) is the convolution of x with s - 1 zeros between its pixels and a border of
dilation * (kernel - 1) - padding, by w turned by half a turn (Dumoulin & Visin 2016, https://arxiv.org/abs/1603.07285).
The zeros cost s * s times the arithmetic, still far less than a scatter without a schedule.

Example: `ConvTranspose2d(64, 32, 2, stride=2)` becomes a 1x1 convolution with 128 outputs.
"""

from __future__ import annotations

import numpy as np
from tvm import relax

from ovenbird.backends.cpu.lowering.context import CpuLowering
from ovenbird.backends.cpu.lowering.conv2d import emit_convolution
from ovenbird.lowering.value import Value
from ovenbird.lowering.walk import INJECTIVE, Lowered
from ovenbird.operators import layout
from ovenbird.operators.conv2d import Window
from ovenbird.passes.shapes import static_shape
from ovenbird_runtime.tensors.arrays import Array

WHOLE_BLOCKS = 2
"""Channels of more blocks than this are padded to whole ones in each phase; fewer are packed without gaps."""

WASTE = 1.25
"""So many times the arithmetic are worth a convolution for each phase."""

MOST_PHASES = 9
"""Each of them is a kernel of its own."""


def lower_conv2d_transpose(lowering: CpuLowering, call: relax.Call) -> Lowered | None:
    """Lower a transposed 2-d convolution with constant weights."""
    data, weight = (lowering.value(arg) for arg in call.args)
    attrs = call.attrs
    supported = attrs.data_layout == "NCHW" and attrs.kernel_layout == "IOHW" and lowering.form.is_image(data)
    if not supported or weight.constant is None:
        return None
    phased = by_phases(lowering, call, data, weight.constant)
    if phased is not None:
        return phased
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


def by_phases(lowering: CpuLowering, call: relax.Call, data: Value, weight: Array) -> Value | None:
    """Lower one with a stride to a convolution with an output channel for each phase; None where it is no such one."""
    attrs, shape, groups = call.attrs, static_shape(call), int(call.attrs.groups)
    stride = (int(attrs.strides[0]), int(attrs.strides[1]))
    crop = (int(attrs.padding[0]), int(attrs.padding[1]))
    depthwise = groups > 1 and weight.shape[1] == 1
    dilated = any(int(step) != 1 for step in attrs.dilation)
    if shape is None or depthwise or dilated or stride == (1, 1):
        return None
    channels, block = weight.shape[1], lowering.block
    output, size = (shape[2], shape[3]), (data.shape[2], data.shape[3])
    whole = channels % block == 0 or (groups == 1 and channels > WHOLE_BLOCKS * block)
    padded = layout.blocks(channels, block) * block if whole else channels
    taps = [-(-weight.shape[2 + axis] // stride[axis]) for axis in (0, 1)]
    if groups == 1:
        together = taps[0] * taps[1] * layout.blocks(stride[0] * stride[1] * padded, block)
        apart = weight.shape[2] * weight.shape[3] * layout.blocks(channels, block)
        if apart * WASTE < together and stride[0] * stride[1] <= MOST_PHASES:
            found = phase_by_phase(lowering, data, weight, stride, crop, shape)
            if found is not None:
                return found
    # The first and last positions of the convolution's window that the output asks for, counted by its last pixel.
    first = [crop[axis] // stride[axis] for axis in (0, 1)]
    last = [(output[axis] - 1 + crop[axis]) // stride[axis] for axis in (0, 1)]
    before = [taps[axis] - 1 - first[axis] for axis in (0, 1)]
    after = [last[axis] - size[axis] + 1 for axis in (0, 1)]
    if min(*before, *after) < 0:
        return None
    parts = np.split(weight, groups)
    kernel = np.concatenate([phase_kernel(part, stride, padded) for part in parts])
    window = Window((taps[0], taps[1]), (1, 1), (before[0], before[1], after[0], after[1]))
    convolved = lowering.form.image(emit_convolution(lowering, data, kernel, window, groups))
    inner = (crop[0] - first[0] * stride[0], crop[1] - first[1] * stride[1])
    operator = layout.interleave if whole else layout.interleave_plain
    pixels = lowering.builder.emit_te(
        operator, convolved, channels, groups, stride, inner, output, primfunc_name_hint="interleave",
        primfunc_attrs={"op_pattern": INJECTIVE},
    )  # fmt: skip
    return Value(shape, data.dtype, **{"image" if whole else "plain": pixels})


def phase_by_phase(
    lowering: CpuLowering, data: Value, weight: Array, stride: tuple[int, int], crop: tuple[int, int],
    shape: tuple[int, ...],
) -> Value | None:  # fmt: skip
    """Lower to a convolution for each phase, with the taps that it has; None where one has none, or a border is cut."""
    parts, firsts = [], []
    for phase in np.ndindex(*stride):
        kernel = weight[:, :, phase[0] :: stride[0], phase[1] :: stride[1]]
        taps = kernel.shape[2:]
        # Output t = place * stride + phase, less the crop, is the sum of tap m times pixel place - m.
        first = [-(-(crop[axis] - phase[axis]) // stride[axis]) for axis in (0, 1)]
        last = [(crop[axis] + shape[2 + axis] - 1 - phase[axis]) // stride[axis] for axis in (0, 1)]
        before = [taps[axis] - 1 - first[axis] for axis in (0, 1)]
        after = [last[axis] - data.shape[2 + axis] + 1 for axis in (0, 1)]
        if min(*before, *after) < 0 or 0 in taps or last[0] < first[0] or last[1] < first[1]:
            return None
        window = Window((taps[0], taps[1]), (1, 1), (before[0], before[1], after[0], after[1]))
        turned = np.ascontiguousarray(kernel.swapaxes(0, 1)[:, :, ::-1, ::-1])
        parts.append(lowering.form.image(emit_convolution(lowering, data, turned, window, 1)))
        firsts.append((first[0], first[1]))
    pixels = lowering.builder.emit_te(
        layout.interleave_parts, *parts, stride=stride, crop=crop, first=firsts, output=(shape[2], shape[3]),
        primfunc_name_hint="interleave", primfunc_attrs={"op_pattern": INJECTIVE},
    )  # fmt: skip
    return Value(shape, data.dtype, image=pixels)


def phase_kernel(weight: Array, stride: tuple[int, int], channels: int) -> Array:
    """[I, O, KH, KW] -> [s * s * channels, I, ceil(KH / s), ceil(KW / s)]: the taps of each phase, turned."""
    inputs, outputs, *kernel = weight.shape
    taps = [-(-kernel[axis] // stride[axis]) for axis in (0, 1)]
    whole = np.zeros((inputs, channels, taps[0] * stride[0], taps[1] * stride[1]), weight.dtype)
    whole[:, :outputs, : kernel[0], : kernel[1]] = weight
    split = whole.reshape(inputs, channels, taps[0], stride[0], taps[1], stride[1])[:, :, ::-1, :, ::-1]
    ordered = split.transpose(3, 5, 1, 0, 2, 4)
    return np.ascontiguousarray(ordered).reshape(-1, inputs, taps[0], taps[1])


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
