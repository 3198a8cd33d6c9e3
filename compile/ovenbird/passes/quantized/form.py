"""Numbers of eight bits in Relax, in the one form that every importer writes and every lowering reads.

An activation that lives as an integer is dequantize(quantize(x)), one scale and zero point a tensor, of uint8; a weight
is dequantize(constant int8), symmetric, a scale for each output channel or one for all. All else is float32.

    whole = levels(x, 0.05, 128)                           # relax.quantize: uint8
    real = reals(whole, 0.05, 128)                         # relax.dequantize: float32, once `whole` is emitted
    weight = kept_weight(array, scale, zero, axis=0)       # None where it is not symmetric
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tvm
from tvm import relax

from ovenbird_runtime.tensors.arrays import Array

QUANTIZE, DEQUANTIZE = "relax.quantize", "relax.dequantize"
OFFSET = 128
"""What makes a uint8 of an int8."""


def levels(data: relax.Expr, scale: float, zero: int, dtype: str = "uint8") -> relax.Expr:
    """Return data as whole numbers: rounded, halves to even, and held within the dtype."""
    return relax.op.quantize(data, _scalar(scale, "float32"), _scalar(zero, dtype), axis=0, out_dtype=dtype)


def reals(data: relax.Expr, scale: float, zero: int) -> relax.Expr:
    """Return whole numbers of 8 bits as float32: (data - zero) * scale."""
    dtype = str(data.ty.dtype.dtype)
    return relax.op.dequantize(data, _scalar(scale, "float32"), _scalar(zero, dtype), axis=0)


def weight(array: Array, scale: Array, axis: int) -> relax.Expr:
    """Return an int8 weight as float32: array * scale, `scale` of one number or of one for each place of the axis."""
    if scale.size == 1:
        return relax.op.dequantize(relax.const(array), _scalar(scale.item(), "float32"), _scalar(0, "int8"), axis=0)
    zeros = np.zeros(scale.shape, np.int8)
    return relax.op.dequantize(relax.const(array), relax.const(scale), relax.const(zeros), axis=axis)


def kept_weight(array: Array, scale: Array, zero: Array, axis: int) -> relax.Expr | None:
    """Return a constant of 8 bits as a weight; None where it is none: a vector, or not symmetric about zero.

    `scale`, `zero`: one number, or one for each place of the axis.
    """
    if array.ndim < 2:
        return None
    shifted = OFFSET if array.dtype == np.uint8 else 0
    if not (zero == shifted).all():
        return None
    signed = array if not shifted else (array.astype(np.int16) - OFFSET).astype(np.int8)
    return weight(np.ascontiguousarray(signed), scale.reshape(-1), axis % array.ndim)


def is_quantized(module: tvm.IRModule) -> bool:
    """Return whether a module holds a quantized tensor."""
    found = []

    def look(expr: Any) -> None:
        if isinstance(expr, relax.Call) and getattr(expr.op, "name", "") in (QUANTIZE, DEQUANTIZE):
            found.append(expr)

    for function in module.functions.values():
        if isinstance(function, relax.Function):
            relax.analysis.post_order_visit(function, look)
    return bool(found)


def _scalar(value: float, dtype: str) -> relax.Expr:
    return relax.const(np.asarray(value, dtype), dtype)
