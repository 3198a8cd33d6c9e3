"""float32 as bfloat16, the upper 16 bits, rounded to the nearest with halves to even; and back, which is exact.

    bits(np.float32([1.00390625]))           # [0x3f80]: halfway between 1 and 1.0078125, whose last bit is odd
    widened(bits(array))                     # float32 of what the bits stand for

Kept as uint16: TVM's own bfloat16 is widened before any instruction of it could be chosen. What is no number stays so;
what lies beyond the largest number becomes infinite. Numbers below 2**-126 are rounded as all others: an instruction
that takes them for 0 differs by that, which is far below what rounding changes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import tirx

from ovenbird_runtime.tensors.arrays import Array

HALF = 0x7FFF
"""With the last bit that stays, what is added before the lower half is cut off."""
NOT_A_NUMBER = 0x7FC0


def bits(array: Array) -> Array:
    """Return float32 as the bits of bfloat16, uint16 of the same shape."""
    whole = np.ascontiguousarray(array, np.float32).view(np.uint32).astype(np.uint64)
    rounded = ((whole + HALF + (whole >> 16 & 1)) >> 16).astype(np.uint16)
    found: Array = np.where(np.isnan(array), np.uint16(NOT_A_NUMBER), rounded)
    return found


def widened(array: Array) -> Array:
    """Return the numbers that bits of bfloat16 stand for, as float32."""
    found: Array = (array.astype(np.uint32) << 16).view(np.float32)
    return found


def is_bfloat16(array: Array) -> bool:
    """Return whether each float32 of an array is a bfloat16: its lower half is 0."""
    return not (np.ascontiguousarray(array, np.float32).view(np.uint32) & 0xFFFF).any()


def rounded_bits(value: Any) -> Any:
    """Return the expression of `bits` of a float32."""
    whole = tirx.reinterpret("uint32", value)
    sixteen, one = tirx.const(16, "uint32"), tirx.const(1, "uint32")
    last = tirx.bitwise_and(tirx.shift_right(whole, sixteen), one)
    rounded = tirx.shift_right(whole + (tirx.const(HALF, "uint32") + last), sixteen)
    magnitude = tirx.bitwise_and(whole, tirx.const(0x7FFFFFFF, "uint32"))
    number = magnitude <= tirx.const(0x7F800000, "uint32")
    return tirx.Cast("uint16", tirx.Select(number, rounded, tirx.const(NOT_A_NUMBER, "uint32")))


def widened_bits(value: Any) -> Any:
    """Return the expression of `widened` of a uint16."""
    return tirx.reinterpret("float32", tirx.shift_left(tirx.Cast("uint32", value), tirx.const(16, "uint32")))
