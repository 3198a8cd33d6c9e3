"""Writes convolutions and pools of volumes as those of images.

Each slice of a convolution's output sees its slices of the input as channels:

    x [N, C, D, H, W] with w [O, C, KD, KH, KW]
        ->    slices [N * OD, KD * C, H, W] with w [O, KD * C, KH, KW], a slice of the output an image

The input is copied KD times at most; the arithmetic, which costs far more, is that of blocked images.

A pool is one over each slice, then one along the slices: maxima and means of a box are those along its axes in turn.
Maxima without a border begin with the slices and rows of a window, each compared where it lies: what is laid out in
blocks of channels after that is what is left, a quarter of the volume for a window of 2x2x2.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tvm
from tvm import IRModule, relax
from tvm.relax.expr_functor import PyExprMutator, mutator

from ovenbird.passes.rewriting import rewritten
from ovenbird.passes.shapes import static_shape

POOLS = {"relax.nn.max_pool3d": relax.op.nn.max_pool2d, "relax.nn.avg_pool3d": relax.op.nn.avg_pool2d}
"""Of volumes, and of images."""


@tvm.transform.module_pass(opt_level=0, name="FlattenVolumes")  # type: ignore[untyped-decorator]
def flatten_volumes(module: IRModule, _: tvm.transform.PassContext) -> IRModule:
    """Return the module with three-dimensional convolutions as two-dimensional ones."""
    return rewritten(module, _Flattening)


@mutator
class _Flattening(PyExprMutator):  # type: ignore[misc]
    def visit_call_(self, call: relax.Call) -> relax.Expr:
        call = self.visit_expr_post_order(call)
        name = getattr(call.op, "name", "")
        if name in POOLS:
            return self._pooled(call, name)
        if name != "relax.nn.conv3d":
            return call
        data, weight = call.args
        attrs, shape, output = call.attrs, static_shape(data), static_shape(call)
        plain = attrs.data_layout == "NCDHW" and attrs.kernel_layout == "OIDHW" and int(attrs.groups) == 1
        if not plain or shape is None or output is None or not isinstance(weight, tvm.ir.GenericConst):
            return call
        emit = self.builder_.emit
        slices = self._slices(data, shape, output[2], attrs, weight.value.numpy().shape[2])
        kernel = weight.value.numpy()
        kernel = np.ascontiguousarray(kernel.transpose(0, 2, 1, 3, 4))
        flat = kernel.reshape(kernel.shape[0], -1, *kernel.shape[3:])
        _, top, left, _, bottom, right = (int(width) for width in attrs.padding)
        convolved = emit(
            relax.op.nn.conv2d(
                slices,
                relax.const(flat),
                strides=[int(step) for step in attrs.strides[1:]],
                padding=(top, left, bottom, right),
                dilation=[int(step) for step in attrs.dilation[1:]],
                out_dtype=attrs.out_dtype or None,
            )
        )
        volume = emit(relax.op.reshape(convolved, (output[0], output[2], output[1], *output[3:])))
        return relax.op.permute_dims(volume, [0, 2, 1, 3, 4])

    def _pooled(self, call: relax.Call, name: str) -> relax.Expr:
        """[N, C, D, H, W]: over [N, C * D, H, W], then over [N, C, D, H * W]; nothing is moved between the two."""
        attrs, shape, output = call.attrs, static_shape(call.args[0]), static_shape(call)
        if attrs.layout != "NCDHW" or shape is None or output is None:
            return call
        emit, pool = self.builder_.emit, POOLS[name]
        size, strides, dilation = (
            [int(v) for v in values] for values in (attrs.pool_size, attrs.strides, attrs.dilation)
        )
        padding, modes = [int(width) for width in attrs.padding], (attrs.ceil_mode, attrs.count_include_pad)
        batch, channels, depth, height, width = shape
        data = call.args[0]
        if name == "relax.nn.max_pool3d" and not any(padding) and not attrs.ceil_mode:
            for axis, count in ((2, output[2]), (3, output[3])):
                data = emit(self._highest(data, axis, count, size[axis - 2], strides[axis - 2], dilation[axis - 2]))
            data = emit(relax.op.reshape(data, (batch, channels * output[2], output[3], width)))
            data = emit(pool(data, (1, size[2]), (1, strides[2]), (0, 0, 0, 0), (1, dilation[2]), *modes))
            return relax.op.reshape(data, output)
        data = emit(relax.op.reshape(data, (batch, channels * depth, height, width)))
        border = (*padding[1:3], *padding[4:])
        data = emit(pool(data, size[1:], strides[1:], border, dilation[1:], *modes))
        data = emit(relax.op.reshape(data, (batch, channels, depth, output[3] * output[4])))
        border = (padding[0], 0, padding[3], 0)
        data = emit(pool(data, (size[0], 1), (strides[0], 1), border, (dilation[0], 1), *modes))
        return relax.op.reshape(data, output)

    def _highest(self, data: relax.Expr, axis: int, count: int, taps: int, stride: int, dilation: int) -> relax.Expr:
        """Return the maximum along one axis of windows without a border: `count` of them, of `taps` values each."""
        highest = None
        for begin in range(0, taps * dilation, dilation):
            end = begin + (count - 1) * stride + 1
            value = relax.op.strided_slice(data, axes=[axis], begin=[begin], end=[end], strides=[stride])
            value = self.builder_.emit(value)
            highest = value if highest is None else self.builder_.emit(relax.op.maximum(highest, value))
        return highest

    def _slices(self, data: relax.Expr, shape: tuple[int, ...], depth: int, attrs: Any, kernel: int) -> relax.Expr:
        """[N, C, D, H, W] -> [N * OD, KD * C, H, W]: what each slice of the output sees."""
        emit = self.builder_.emit
        batch, channels, _, height, width = shape
        data = emit(relax.op.permute_dims(data, [0, 2, 1, 3, 4]))
        front, back = int(attrs.padding[0]), int(attrs.padding[3])
        if front or back:
            data = emit(relax.op.nn.pad(data, [0, 0, front, back, 0, 0, 0, 0, 0, 0]))
        stride, dilation = int(attrs.strides[0]), int(attrs.dilation[0])
        taps = []
        for tap in range(kernel):
            begin = tap * dilation
            end = begin + (depth - 1) * stride + 1
            whole = begin == 0 and stride == 1 and end == shape[2] + front + back
            taps.append(
                data
                if whole
                else emit(relax.op.strided_slice(data, axes=[1], begin=[begin], end=[end], strides=[stride]))
            )
        joined = taps[0] if len(taps) == 1 else emit(relax.op.concat(taps, axis=2))
        return emit(relax.op.reshape(joined, (batch * depth, kernel * channels, height, width)))
