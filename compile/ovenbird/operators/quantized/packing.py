"""Packs int8 weights as `operators.quantized.sums` reads them: 4 inputs of each of b outputs side by side.

Example: OIHW [64, 64, 3, 3] with 16 channels in a block is [4, 4, 3, 3, 4, 64].
"""

from __future__ import annotations

import numpy as np

from ovenbird.operators.layout import blocks, pad_axis
from ovenbird.operators.quantized import steps
from ovenbird.operators.quantized.sums import TAPS
from ovenbird_runtime.tensors.arrays import Array

PAIR = 128
"""What two weights of one sign may add up to, so that 255 times as much fits in 16 bits."""


def pack_conv_weight(weight: Array, block: int, in_block: int) -> Array:
    """OIHW -> [O/b, I/c, KH, KW, c/4, b*4]; channels that are missing from a block have weights of 0."""
    return steps.pack_conv_weight(weight, block, in_block, TAPS)


def pack_matmul_weight(weight: Array, block: int) -> Array:
    """[K, N] -> [N/b, ceil(K/4), b*4]."""
    return steps.pack_matmul_weight(weight, block, TAPS)


def is_narrow(packed: Array) -> bool:
    """Return whether two neighbouring products of a step fit in 16 bits, whatever the levels are that they multiply.

    `packed`: [..., b*4]. 255 times what two weights of one sign add up to is at most 255 * 128 = 32,640.
    """
    pairs = packed.reshape(-1, 2).astype(np.int16)
    return bool(np.maximum(pairs, 0).sum(axis=1).max() <= PAIR and np.minimum(pairs, 0).sum(axis=1).min() >= -PAIR)


def pack_terms(values: Array, block: int) -> Array:
    """Return a value for each output [O] as [ceil(O/b), b], with zeros behind them."""
    count = blocks(values.size, block)
    return np.ascontiguousarray(pad_axis(values, 0, count * block).reshape(count, block))
