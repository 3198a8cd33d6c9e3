"""Between floats and levels, in one arithmetic for every processor (docs/explanation/precision.md).

A level is a whole number of 8 bits that stands for a float: `(q - zero) * scale`. All is computed in float32 as IEEE
754 says, with one rounding for each operation: such blocks carry `EXACT`, by which `passes.quantized.keep_products`
keeps a product from being joined with the sum behind it.

Example: `quantize(x, scale=0.5, zero=3)` of 1.25 is 5: 2.5 is rounded to even, plus 3.
"""

from __future__ import annotations

import math
from typing import Any

from tvm import te, tirx

from ovenbird.operators.fast_math import ROUNDING_SHIFT, SHIFT_BITS
from ovenbird.operators.layout import extents

EXACT = "ovenbird.exact"
"""The annotation of a block whose floats must come out the same on every processor."""

LEVEL_RANGE = "ovenbird.level_range"
"""The annotation of a block whose value is `nearest_level` of something: its low, high and zero, and whether that is
within int32 whatever the data."""

LEVELS = 255
"""The highest level; the lowest is 0."""


def nearest_level(value: Any, low: int, high: int, zero: int) -> Any:
    """Return float32 as uint8: rounded to the nearest whole number, half to even, held in [low, high], plus `zero`.

    Adding 1.5 * 2**23 leaves the whole number in the low bits of the sum: `value` is held in range before.
    """
    bounds = tirx.const(float(low), "float32"), tirx.const(float(high), "float32")
    return _rounded(value, *bounds, tirx.const(zero - SHIFT_BITS, "int32"))


def _rounded(value: Any, low: Any, high: Any, moved: Any) -> Any:
    """Return the level; `moved`: its zero, less the bits of the number that rounds."""
    held = tirx.min(tirx.max(value, low), high)
    return tirx.Cast("uint8", tirx.reinterpret("int32", held + tirx.const(ROUNDING_SHIFT, "float32")) + moved)


def level_value(level: Any, scale: float, zero: int) -> Any:
    """Return the float32 that a uint8 level stands for."""
    return tirx.Cast("float32", centred(level, zero)) * tirx.const(scale, "float32")


def centred(level: Any, zero: int) -> Any:
    """Return a level as int32, counted from the one that stands for 0."""
    return tirx.Cast("int32", level) - tirx.const(zero, "int32") if zero else tirx.Cast("int32", level)


def quantize(data: te.Tensor, scale: float, zero: int) -> te.Tensor:
    """Return float32 of any shape as uint8 levels: round(x / scale) + zero, held in range."""

    def body(*at: Any) -> Any:
        # Hidden behind a change of type, for TVM would multiply by the reciprocal.
        divisor = tirx.reinterpret("float32", tirx.reinterpret("int32", tirx.const(scale, "float32")))
        quotient = data(*at) / divisor
        return nearest_level(quotient, -zero, LEVELS - zero, zero)

    return te.compute(extents(data), body, name="quantize", attrs={EXACT: 1})


def quantize_by(data: te.Tensor, scale: te.Tensor, zero: te.Tensor) -> te.Tensor:
    """Return `quantize` of float32 by scalars that are read: kernels that differ in their grid alone are one."""
    lowest, span = tirx.const(0.0, "float32") - zero(), tirx.const(float(LEVELS), "float32")
    moved = tirx.Cast("int32", zero()) - tirx.const(SHIFT_BITS, "int32")

    def body(*at: Any) -> Any:
        return _rounded(data(*at) / scale(), lowest, span - zero(), moved)

    return te.compute(extents(data), body, name="quantize", attrs={EXACT: 1})


def dequantize(data: te.Tensor, scale: float, zero: int) -> te.Tensor:
    """Return uint8 levels of any shape as float32."""
    return te.compute(
        extents(data), lambda *at: level_value(data(*at), scale, zero), name="dequantize", attrs={EXACT: 1}
    )


def held_range(low: float, high: float, scale: float, zero: int) -> tuple[int, int]:
    """Return the range of whole numbers, counted from zero, that levels of values within [low, high] have."""
    least, most = -zero, LEVELS - zero
    if not math.isinf(low):
        least = max(least, min(round(low / scale), most))
    if not math.isinf(high):
        most = min(most, max(round(high / scale), least))
    return least, most
