"""Blocked layouts: NCHW activations as NCHW{b}c, OIHW weights as OIHW{b}i{b}o.

A block holds `b` neighbouring channels side by side (b = the target's float lanes), so that one vector load
takes the same pixel of `b` channels. Channels that do not fill the last block are padded with zeros.

Example: 24 channels with b = 16 become 2 blocks; the last 8 lanes of the second block are padding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import te, tirx

from ovenbird.operators.anchors import PARTS, anchored
from ovenbird_runtime.tensors.arrays import Array


def blocks(channels: int, block: int) -> int:
    """Return the number of blocks of `block` channels that hold `channels` channels."""
    return -(-channels // block)


def extents(tensor: te.Tensor) -> tuple[int, ...]:
    """Return the static shape of `tensor` as Python integers."""
    return tuple(int(extent) for extent in tensor.shape)


def pack(data: te.Tensor, block: int) -> te.Tensor:
    """[N, C, H, W] -> [N, ceil(C/b), H, W, b]; lanes past C are zero."""
    batch, channels, height, width = extents(data)
    count = blocks(channels, block)

    def body(n, c, h, w, v):  # type: ignore[no-untyped-def]
        if channels % block == 0:
            return data[n, c * block + v, h, w]
        zero = tirx.const(0, data.dtype)
        return tirx.if_then_else(c * block + v < channels, data[n, c * block + v, h, w], zero)

    return te.compute((batch, count, height, width, block), body, name="pack")


def unpack(data: te.Tensor, channels: int) -> te.Tensor:
    """[N, C/b, H, W, b] -> [N, C, H, W]; the padding lanes are dropped."""
    batch, _, height, width, block = extents(data)
    return te.compute(
        (batch, channels, height, width),
        lambda n, c, h, w: data[n, c // block, h, w, c % block],
        name="unpack",
    )


def concatenate(*parts: te.Tensor) -> te.Tensor:
    """Blocked images [N, Ci/b, H, W, b] of one size -> [N, sum of Ci/b, H, W, b]."""
    batch, _, height, width, block = extents(parts[0])
    counts = [extents(part)[1] for part in parts]

    def body(n, c, h, w, v):  # type: ignore[no-untyped-def]
        value, end = parts[-1][n, c - sum(counts[:-1]), h, w, v], sum(counts[:-1])
        for part, count in zip(reversed(parts[:-1]), reversed(counts[:-1]), strict=True):
            start = end - count
            value = tirx.if_then_else(c < end, part[n, c - start, h, w, v], value)
            end = start
        return value

    attributes = anchored("concatenation", {PARTS: counts})
    return te.compute((batch, sum(counts), height, width, block), body, name="concatenate", attrs=attributes)


def spread(data: te.Tensor, stride: tuple[int, int]) -> te.Tensor:
    """[N, C/b, H, W, b] -> [N, C/b, (H - 1) * s + 1, (W - 1) * s + 1, b] with zeros between the pixels."""
    batch, count, height, width, block = extents(data)
    rows, columns = stride
    zero = tirx.const(0, data.dtype)

    def body(n, c, h, w, v):  # type: ignore[no-untyped-def]
        taken = tirx.all(h % rows == 0, w % columns == 0)
        return tirx.if_then_else(taken, data[n, c, h // rows, w // columns, v], zero)

    shape = (batch, count, (height - 1) * rows + 1, (width - 1) * columns + 1, block)
    return te.compute(shape, body, name="spread")


def interleave(
    data: te.Tensor,
    channels: int,
    groups: int,
    stride: tuple[int, int],
    crop: tuple[int, int],
    output: tuple[int, int],
) -> te.Tensor:
    """[N, g*s*s*C'/b, H, W, b] -> [N, g*C'/b, OH, OW, b]: pixel (h, w) of phase (i, j) goes to (h*s+i, w*s+j), less
    `crop`.

    `channels`: C of a group, C' in whole blocks. The phases of a group lie one after the other.
    """
    batch, _, _, _, block = extents(data)
    count = blocks(channels, block)

    def body(n, c, h, w, v):  # type: ignore[no-untyped-def]
        source, row, column = _source(c, h + crop[0], w + crop[1], count, groups, stride)
        return data[n, source, row, column, v]

    return te.compute((batch, groups * count, *output, block), body, name="interleave")


def _source(c: Any, row: Any, column: Any, count: int, groups: int, stride: tuple[int, int]) -> tuple[Any, Any, Any]:
    """Return the channel (or block of them, `count` a group), row and column of a phase that a place takes."""
    phase = row % stride[0] * stride[1] + column % stride[1]
    phases = stride[0] * stride[1]
    source = phase * count + c if groups == 1 else (c // count * phases + phase) * count + c % count
    return source, row // stride[0], column // stride[1]


def interleave_plain(
    data: te.Tensor,
    channels: int,
    groups: int,
    stride: tuple[int, int],
    crop: tuple[int, int],
    output: tuple[int, int],
) -> te.Tensor:
    """[N, g*s*s*C/b, H, W, b] -> [N, g*C, OH, OW], as `interleave`, the channels of all phases packed without gaps."""
    batch, _, _, _, block = extents(data)

    def body(n, c, h, w):  # type: ignore[no-untyped-def]
        source, row, column = _source(c, h + crop[0], w + crop[1], channels, groups, stride)
        return data[n, source // block, row, column, source % block]

    return te.compute((batch, groups * channels, *output), body, name="interleave")


def interleave_parts(
    *parts: te.Tensor, stride: tuple[int, int], crop: tuple[int, int], first: list[tuple[int, int]],
    output: tuple[int, int],
) -> te.Tensor:  # fmt: skip
    """Blocked images, one a phase -> [N, C/b, OH, OW, b], as `interleave`; `first`: the place that a part begins at."""
    batch, count, _, _, block = extents(parts[0])

    def body(n, c, h, w, v):  # type: ignore[no-untyped-def]
        row, column = h + crop[0], w + crop[1]
        value = None
        for index in reversed(range(len(parts))):
            size = extents(parts[index])[2:4]
            places = (row // stride[0] - first[index][0], column // stride[1] - first[index][1])
            place = [tirx.max(tirx.min(at, extent - 1), 0) for at, extent in zip(places, size, strict=True)]
            taken = parts[index][n, c, place[0], place[1], v]
            here = tirx.all(row % stride[0] == index // stride[1], column % stride[1] == index % stride[1])
            value = taken if value is None else tirx.if_then_else(here, taken, value)
        return value

    return te.compute((batch, count, *output, block), body, name="interleave")


def pad_axis(array: Array, axis: int, size: int) -> Array:
    """Pad `array` with zeros at the end of `axis` up to `size`."""
    missing = size - array.shape[axis]
    if missing == 0:
        return array
    widths = [(0, 0)] * array.ndim
    widths[axis] = (0, missing)
    return np.pad(array, widths)


def pack_channels(array: Array, block: int) -> Array:
    """[N, C, H, W] constant -> [N, C/b, H, W, b]."""
    batch, channels, height, width = array.shape
    count = blocks(channels, block)
    padded = pad_axis(array, 1, count * block).reshape(batch, count, block, height, width)
    packed: Array = padded.transpose(0, 1, 3, 4, 2)
    return packed


def pack_conv_weight(weight: Array, block: int) -> Array:
    """OIHW -> [O/b, I/b, KH, KW, b_in, b_out]."""
    outputs, inputs, height, width = weight.shape
    out_blocks, in_blocks = blocks(outputs, block), blocks(inputs, block)
    padded = pad_axis(pad_axis(weight, 0, out_blocks * block), 1, in_blocks * block)
    split = padded.reshape(out_blocks, block, in_blocks, block, height, width)
    packed: Array = split.transpose(0, 2, 4, 5, 3, 1)
    return packed


def pack_conv_weight_output_only(weight: Array, block: int) -> Array:
    """OIHW -> [O/b, I, KH, KW, b_out], for convolutions that read a plain NCHW input of few channels."""
    outputs, inputs, height, width = weight.shape
    out_blocks = blocks(outputs, block)
    split = pad_axis(weight, 0, out_blocks * block).reshape(out_blocks, block, inputs, height, width)
    packed: Array = split.transpose(0, 2, 3, 4, 1)
    return packed


def pack_depthwise_weight(weight: Array, block: int) -> Array:
    """[C, 1, KH, KW] -> [C/b, KH, KW, b]."""
    channels, _, height, width = weight.shape
    count = blocks(channels, block)
    split = pad_axis(weight, 0, count * block).reshape(count, block, height, width)
    packed: Array = split.transpose(0, 2, 3, 1)
    return packed


def pack_matmul_weight(weight: Array, block: int) -> Array:
    """[K, N] -> [N/b, K, b]."""
    depth, columns = weight.shape
    count = blocks(columns, block)
    split = pad_axis(weight, 1, count * block).reshape(depth, count, block)
    packed: Array = split.transpose(1, 0, 2)
    return packed
