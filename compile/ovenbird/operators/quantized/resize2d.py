"""Images of uint8 levels made larger or smaller: float32 of the pixels around each place, read as levels.

The arithmetic is that of `topi.image.resize2d`: `a * (1 - t) + b * t` along a row, then between two rows.
"""

from __future__ import annotations

from typing import Any

from tvm import te, topi

from ovenbird.operators.layout import extents
from ovenbird.operators.quantized.rounding import EXACT, dequantize


def resize2d(data: te.Tensor, scale: float, zero: int, **options: Any) -> te.Tensor:
    """[N, C/b, H, W, b] of levels -> float32 [N, C/b, OH, OW, b]; `options`: of `topi.image.resize2d`."""
    resized = topi.image.resize2d(dequantize(data, scale, zero), **options)
    return te.compute(extents(resized), lambda *at: resized(*at), name="resize2d_levels", attrs={EXACT: 1})
