"""Lowering of convolutions: batch norm folded, weights packed, the algorithm chosen by shape."""

from __future__ import annotations

import numpy as np
from tvm import relax

from ovenbird.backends.cpu.algorithms import ConvolutionShape, allows_winograd, choose_algorithm
from ovenbird.backends.cpu.lowering.context import CpuLowering
from ovenbird.backends.cpu.machine import multiplies_bfloat16
from ovenbird.lowering.value import Value
from ovenbird.lowering.walk import Lowered
from ovenbird.lowering.windows import conv2d_window
from ovenbird.operators import conv2d, layout, winograd
from ovenbird.operators.bfloat16 import sums as bfloat16
from ovenbird.operators.conv2d import Window
from ovenbird.operators.movements.grids import join_grids, split_grids
from ovenbird.passes.fold_batch_norm import norm_behind, scale_and_shift, scaled_weight
from ovenbird.passes.shapes import static_shape
from ovenbird_runtime.tensors.arrays import Array


def lower_conv2d(lowering: CpuLowering, call: relax.Call) -> Lowered | None:
    """Lower a 2-d convolution with constant weights, and the batch norm behind it."""
    data, weight = (lowering.value(arg) for arg in call.args)
    attrs = call.attrs
    if "layouts" in lowering.without:
        return fold_as_written(lowering, call, data, weight)
    supported = attrs.data_layout == "NCHW" and attrs.kernel_layout == "OIHW" and lowering.form.is_image(data)
    if not supported or weight.constant is None:
        return None
    kernel = weight.constant
    shift = None
    reader, folded = norm_to_fold(lowering)
    if folded is not None:
        scale, shift = folded
        kernel = scaled_weight(kernel, scale)
    window = conv2d_window(attrs, kernel.shape, data.padding)
    result = emit_convolution(lowering, data.unpadded or data, kernel, window, int(attrs.groups))
    if shift is not None:
        bias = Value((1, shift.size, 1, 1), data.dtype, constant=shift.astype(data.dtype).reshape(1, -1, 1, 1))
        added = relax.op.add(result.image, lowering.form.image(bias))
        result.image = lowering.builder.emit(added)
        lowering.folded_norms.add(reader)
    return result


def norm_to_fold(lowering: CpuLowering) -> tuple[relax.Call | None, tuple[Array, Array] | None]:
    """Return what alone reads the call that is being lowered, and (scale, shift) where that is a batch norm to fold."""
    reader = lowering.sole_reader.get(lowering.current) if "folding" not in lowering.without else None
    return reader, norm_behind(reader)


def fold_as_written(lowering: CpuLowering, call: relax.Call, data: Value, weight: Value) -> Value | None:
    """Fold the batch norm behind a convolution that stays in the network's own layout; None where there is none."""
    reader, folded = norm_to_fold(lowering)
    if folded is None or weight.constant is None or call.attrs.kernel_layout != "OIHW":
        return None
    scale, shift = folded
    kernel = relax.const(scaled_weight(weight.constant, scale))
    emit = lowering.builder.emit
    result = emit(relax.Call(call.op, [lowering.form.plain(data), kernel], call.attrs, call.ty_args))
    added = emit(relax.op.add(result, relax.const(shift.astype(data.dtype).reshape(1, -1, 1, 1))))
    lowering.folded_norms.add(reader)
    return Value(static_shape(call) or (), data.dtype, plain=added)


def emit_convolution(lowering: CpuLowering, data: Value, kernel: Array, window: Window, groups: int) -> Value:
    """Emit the convolution of `data` with an OIHW kernel in the form that suits its shape."""
    batch, channels, height, width = data.shape
    outputs, block = kernel.shape[0], lowering.block
    shape = (batch, outputs, *window.output(height, width))
    kernel, window = without_border_taps(kernel, window, (height, width))
    if groups == channels == outputs and groups > 1:
        weight = layout.pack_depthwise_weight(kernel, block)
        tensors = (lowering.form.image(data), lowering.weight(weight))
        blocked = lowering.emit_te("depthwise_conv2d", conv2d.depthwise_conv2d, *tensors, window=window)
        return Value(shape, data.dtype, image=blocked)
    if groups == 1 and channels <= max(4, block * 3 // 4) and data.image is None:
        halves = multiplies_bfloat16(lowering.machine, kernel) and window.dilation[1] == 1
        pack = bfloat16.pack_plain_weight if halves else layout.pack_conv_weight_output_only
        operator = bfloat16.conv2d_from_plain if halves else conv2d.conv2d_from_plain
        tensors = (lowering.form.plain(data), lowering.weight(pack(kernel, block)))
        blocked = lowering.emit_te("conv2d", operator, *tensors, window=window)
        return Value(shape, data.dtype, image=blocked)
    if multiplies_bfloat16(lowering.machine, kernel):
        kernel, groups = merge_groups(kernel, groups, block)
        tensors = (rounded_image(lowering, data), lowering.weight(bfloat16.pack_conv_weight(kernel, block)))
        blocked = lowering.emit_te("conv2d", bfloat16.conv2d, *tensors, window=window, groups=groups)
        return Value(shape, data.dtype, image=blocked)
    grids = grids_of(window, (height, width))
    allowed = "winograd" not in lowering.without
    if allowed and allows_winograd(Window(window.kernel, window.stride) if grids > 1 else window, groups):
        # One choice for all batch sizes, that of the smallest: they then share one set of packed weights.
        images = batch * lowering.smallest_batch // lowering.batch
        rows, columns = -(-shape[2] // grids), -(-shape[3] // grids)
        convolution = ConvolutionShape(max(images, 1) * grids**2, channels, outputs, rows, columns, data.dtype)
        algorithm = choose_algorithm(convolution, lowering.deciding, lowering.algorithms)
        if lowering.decisions is not None:  # likewise one for all image sizes, that of the first
            algorithm = lowering.decisions.keep(kernel, algorithm)
        if algorithm != "direct":
            transform = winograd.TRANSFORMS[int(algorithm[-1])]
            weight = winograd.pack_winograd_weight(kernel, block, transform)
            return Value(shape, data.dtype, image=emit_winograd(lowering, data, weight, window, grids))
    kernel, groups = merge_groups(kernel, groups, block)
    weight = layout.pack_conv_weight(kernel, block)
    tensors = (lowering.form.image(data), lowering.weight(weight))
    blocked = lowering.emit_te("conv2d", conv2d.conv2d, *tensors, window=window, groups=groups)
    return Value(shape, data.dtype, image=blocked)


def rounded_image(lowering: CpuLowering, data: Value) -> relax.Expr:
    """Return an image in bfloat16, once for all that read it so: of one reader it is the end of the kernel before."""
    if data.rounded is None:
        image = lowering.form.image(data)
        data.rounded = lowering.builder.emit_te(bfloat16.rounded, image, primfunc_name_hint="round")
    return data.rounded


def emit_winograd(lowering: CpuLowering, data: Value, weight: Array, window: Window, grids: int) -> relax.Expr:
    """Emit a Winograd convolution by packed weights; of a window with gaps, on each of its grids as an image."""
    image, packed = lowering.form.image(data), lowering.weight(weight)
    name = f"winograd{weight.shape[1] - 2}"
    if grids == 1:
        return lowering.emit_te(name, winograd.winograd_conv2d, image, packed, window=window)
    emit_te = lowering.builder.emit_te
    split = emit_te(split_grids, image, grids, primfunc_name_hint="split_grids")
    alone = Window(window.kernel, padding=(1, 1, 1, 1))
    result = lowering.emit_te(name, winograd.winograd_conv2d, split, packed, window=alone)
    return emit_te(join_grids, result, grids, *data.shape[2:], primfunc_name_hint="join_grids")


def grids_of(window: Window, image: tuple[int, int]) -> int:
    """Return the dilation of a 3x3 window that keeps the image's size, where some grid has several pixels; else 1."""
    step = window.dilation[0]
    same = window.padding == (step,) * 4 and window.dilation == (step, step) and window.stride == (1, 1)
    return step if same and window.kernel == (3, 3) and min(image) > step else 1


def without_border_taps(kernel: Array, window: Window, image: tuple[int, int]) -> tuple[Array, Window]:
    """Leave out the outer rows and columns of an OIHW kernel that see nothing but the border, whatever the output."""
    output = window.output(*image)
    kept, padding = [], list(window.padding)
    for axis in (0, 1):
        first, end = 0, window.kernel[axis]
        stride, dilation = window.stride[axis], window.dilation[axis]
        while end - first > 1 and (output[axis] - 1) * stride + first * dilation < padding[axis]:
            first += 1
        while end - first > 1 and (end - 1) * dilation - window.padding[axis] >= image[axis]:
            end -= 1
        padding[axis] -= first * dilation
        padding[axis + 2] -= (window.kernel[axis] - end) * dilation
        kept.append(slice(first, end))
    if min(padding) < 0 or kernel.shape[2:] == (kept[0].stop - kept[0].start, kept[1].stop - kept[1].start):
        return kernel, window
    kernel = np.ascontiguousarray(kernel[:, :, kept[0], kept[1]])
    sides = (kernel.shape[2], kernel.shape[3])
    return kernel, Window(sides, window.stride, (padding[0], padding[1], padding[2], padding[3]), window.dilation)


def merge_groups(kernel: Array, groups: int, block: int) -> tuple[Array, int]:
    """Join neighbouring groups, with zeros between them, until each fills whole blocks of channels.

    The last one may hold fewer groups than the others, if what is missing is less than a block on either side.
    """
    if groups == 1:
        return kernel, 1
    outputs, group_in = kernel.shape[:2]
    group_out = outputs // groups
    merged = next(
        merge for merge in range(1, groups + 1) if merge == groups or fits(merge, groups, group_in, group_out, block)
    )
    count = -(-groups // merged)
    wide = np.zeros(
        (count * merged * group_out if count > 1 else outputs, merged * group_in, *kernel.shape[2:]), kernel.dtype
    )
    for group in range(groups):
        start = group % merged * group_in
        rows = slice(group * group_out, (group + 1) * group_out)
        wide[rows, start : start + group_in] = kernel[rows]
    return wide, count


def fits(merged: int, groups: int, group_in: int, group_out: int, block: int) -> bool:
    """Return True if `merged` groups fill whole blocks, and all of them take no more blocks than their channels do."""
    missing = -groups % merged
    whole = merged * group_in % block == 0 and merged * group_out % block == 0
    return whole and missing * group_in < block and missing * group_out < block


def lower_batch_norm(lowering: CpuLowering, call: relax.Call) -> Lowered | None:
    """Lower a batch norm: gone if it was folded into the convolution before it, else one multiply and one add."""
    data = lowering.value(call.args[0])
    if call in lowering.folded_norms:
        return (data,)
    folded = scale_and_shift(call)
    if folded is None or int(call.attrs.axis) != 1 or not lowering.form.is_image(data):
        return None
    scale, shift = (
        Value((1, term.size, 1, 1), data.dtype, constant=term.astype(data.dtype).reshape(1, -1, 1, 1))
        for term in folded
    )
    form, emit = lowering.form, lowering.builder.emit
    scaled = emit(relax.op.multiply(form.image(data), form.image(scale)))
    shifted = emit(relax.op.add(scaled, form.image(shift)))
    return (Value(static_shape(call.args[0]) or data.shape, data.dtype, image=shifted),)
