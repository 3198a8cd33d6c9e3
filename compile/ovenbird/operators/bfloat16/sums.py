"""Convolutions and matrix products of float32 that are rounded to bfloat16 before they are multiplied, not after.

Two products are one step, as of 8-bit numbers four are (`operators.quantized.sums`): a schedule turns them into the
instruction that adds both to a float32. Data is rounded once, where it is padded; weights come rounded and packed, two
inputs of each of b outputs side by side.

Example: float32 [1, 4, 56, 56, 16] by uint16 [4, 4, 3, 3, 8, 32] -> float32 [1, 4, 56, 56, 16].
"""

from __future__ import annotations

from typing import Any

from tvm import te, tirx

from ovenbird.operators.bfloat16.numbers import bits, rounded_bits, widened_bits
from ovenbird.operators.conv2d import Window, pad
from ovenbird.operators.layout import extents
from ovenbird.operators.quantized import steps
from ovenbird_runtime.tensors.arrays import Array

TAPS = 2
"""Products of one step."""


def pack_conv_weight(weight: Array, block: int) -> Array:
    """Float32 OIHW -> uint16 [O/b, I/b, KH, KW, b/2, b*2]; channels that are missing from a block have weights of 0."""
    return steps.pack_conv_weight(bits(weight), block, block, TAPS)


def pack_matmul_weight(weight: Array, block: int) -> Array:
    """Float32 [K, N] -> uint16 [N/b, ceil(K/2), b*2]."""
    return steps.pack_matmul_weight(bits(weight), block, TAPS)


def product(data: Any, weight: Any) -> Any:
    """Return the product of two bfloat16 as float32, which is exact."""
    return widened_bits(data) * widened_bits(weight)


def conv2d(data: te.Tensor, weight: te.Tensor, window: Window, groups: int = 1) -> te.Tensor:
    """Dense or grouped: [N, I/b, H, W, b] * [O/b, I/g/b, KH, KW, b/2, b*2] -> [N, O/b, OH, OW, b]."""
    size = window.output(*extents(data)[2:4])
    padded = pad(data, window.padding, 0, rounded_bits)
    sums, place = steps.conv2d_sums(padded, weight, product, TAPS, window, groups, size, {})
    if not window.pointwise:
        return sums
    batch, _, _, lanes = extents(sums)
    shape = (batch, extents(weight)[0], *size, lanes)
    return te.compute(shape, lambda *at: sums[place(*at)], name="unflatten")


def matmul(data: te.Tensor, weight: te.Tensor, columns: int, tile_rows: int = 1) -> te.Tensor:
    """[M, K] * [N/b, ceil(K/2), b*2] -> [M, N], in whole tiles of rows (`operators.dense`)."""
    rows, depth = extents(data)
    _, count, width = extents(weight)
    lanes = width // TAPS
    even = te.compute(
        (rows, count * TAPS),
        lambda m, k: (
            tirx.Select(k < depth, rounded_bits(data[m, tirx.min(k, depth - 1)]), tirx.const(0, "uint16"))
            if depth < count * TAPS
            else rounded_bits(data[m, k])
        ),
        name="round",
    )
    sums = steps.matmul_sums(even, weight, product, TAPS, tile_rows, {})
    return te.compute((rows, columns), lambda m, n: sums[n // lanes, m, n % lanes], name="unblock")
