"""Quantization as a map of floats, for where no kernel of whole numbers takes it in.

Rounding is that of IEEE 754, halves to even, as in ONNX; the quotient is a division in float32.

Example: `quantize(data, scale, zero, "uint8")` is clamp(rint(data / scale) + zero, 0, 255).
"""

from __future__ import annotations

import math
from typing import Any

from tvm import te, tirx


def quantize(data: te.Tensor, scale: te.Tensor, zero: te.Tensor, axis: int, dtype: str) -> te.Tensor:
    """Return data as whole numbers; `scale`, `zero`: one number, or one for each place of the axis."""
    lowest, highest = (
        tirx.const(float(limit.value), "float32") for limit in (tirx.min_value(dtype), tirx.max_value(dtype))
    )

    def compute(*at: Any) -> Any:
        rounded = tirx.nearbyint(data(*at) / _of(scale, at, axis)) + _of(zero, at, axis).astype("float32")
        return tirx.max(tirx.min(rounded, highest), lowest).astype(dtype)

    return te.compute(data.shape, compute, "quantize")


def _of(parameter: te.Tensor, at: tuple[Any, ...], axis: int) -> Any:
    one = math.prod(int(extent) for extent in parameter.shape) == 1
    return parameter(*([0] * len(parameter.shape) if one else [at[axis]]))
