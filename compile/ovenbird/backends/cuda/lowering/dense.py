"""Lowering of matrix products for a GPU: constant weights turned, batches flattened.

Example: `x @ weight` with x [1, 197, 768] becomes one product of 197 rows.
"""

from __future__ import annotations

import math

import numpy as np
from tvm import relax

from ovenbird.backends.cuda.lowering.context import CudaLowering
from ovenbird.backends.cuda.lowering.conv2d import original_constant
from ovenbird.lowering.value import FLOATS, Value
from ovenbird.lowering.walk import Lowered
from ovenbird.operators import channels_last
from ovenbird.passes.shapes import static_shape


def lower_matmul(lowering: CudaLowering, call: relax.Call) -> Lowered | None:
    """Lower a product of float matrices; of vectors, or with batches that broadcast partly, it stays as it is."""
    left, right = (lowering.value(arg) for arg in call.args)
    shape = static_shape(call)
    if shape is None or left.dtype not in FLOATS or min(len(left.shape), len(right.shape)) < 2:
        return None
    weight = original_constant(call.args[1])
    if weight is not None and weight.ndim == 2:
        turned = relax.const(np.ascontiguousarray(weight.T)[None].astype(lowering.precision))
        return emit(lowering, (1, math.prod(left.shape[:-1])), left, turned, shape, transposed=True)
    batches = [math.prod(value.shape[:-2]) for value in (left, right)]
    if left.shape[:-2] != right.shape[:-2] and 1 not in batches:
        return None
    other = reshaped(lowering, lowering.form.plain(right), (batches[1], *right.shape[-2:]))
    return emit(lowering, (batches[0], left.shape[-2]), left, other, shape, transposed=False)


def emit(
    lowering: CudaLowering,
    rows: tuple[int, int],
    left: Value,
    right: relax.Expr,
    shape: tuple[int, ...],
    transposed: bool,
) -> Value:
    """Emit the product of `left`, seen as [batch, rows, K], and `right`."""
    matrix = reshaped(lowering, lowering.form.plain(left), (*rows, left.shape[-1]))
    result = lowering.emit_te(
        "matmul",
        channels_last.matmul,
        matrix,
        right,
        shape=shape,
        out_dtype=lowering.precision,
        transposed=transposed,
    )
    return Value(shape, lowering.precision, plain=result)


def reshaped(lowering: CudaLowering, expr: relax.Expr, shape: tuple[int, ...]) -> relax.Expr:
    """Return the expression in another shape: a view, or itself."""
    return expr if static_shape(expr) == shape else lowering.builder.emit(relax.op.reshape(expr, shape))
