"""Lowering of matrix products: packed weights, attention in one function, or any two activations.

Example: `x @ weight + bias` with x [1, 197, 768] becomes one function of 197 rows and packed weights.
"""

from __future__ import annotations

import math

from tvm import relax, te

from ovenbird.backends.cpu.lowering.attention import as_matrices, emit_attention, find_attention
from ovenbird.backends.cpu.lowering.context import CpuLowering
from ovenbird.backends.cpu.lowering.movements.reshape import reshaped
from ovenbird.backends.cpu.lowering.movements.views import trace_view
from ovenbird.backends.cpu.machine import multiplies_bfloat16
from ovenbird.backends.cpu.schedules.tile_choice import choose_rows
from ovenbird.backends.cpu.storage import stored_weight
from ovenbird.lowering.value import Value
from ovenbird.lowering.walk import Lowered
from ovenbird.operators import dense, layout
from ovenbird.operators.bfloat16 import sums as bfloat16
from ovenbird.passes.shapes import static_shape
from ovenbird_runtime.tensors.arrays import Array

UNPACKED_ROWS = 2
"""A matrix that so many rows are multiplied by is read in place: packed, it would be read, written and read again."""


def lower_matmul(lowering: CpuLowering, call: relax.Call) -> Lowered | None:
    """Lower a product of float32 matrices; of vectors, or with batches that broadcast partly, it stays as it is."""
    left, right = (lowering.value(arg) for arg in call.args)
    shape = static_shape(call)
    if shape is None or left.dtype != "float32" or min(len(left.shape), len(right.shape)) < 2:
        return None
    if right.constant is not None and right.constant.ndim == 2 and "layouts" not in lowering.without:
        return lower_packed(lowering, left, right, shape)
    found = find_attention(lowering, call) if "fusion" not in lowering.without else None
    if found is not None:
        return Value(shape, left.dtype, plain=emit_attention(lowering, found, shape))
    return lower_rows(lowering, call, left, shape) or lower_batch(lowering, left, right, shape)


def lower_packed(lowering: CpuLowering, data: Value, weight: Value, shape: tuple[int, ...]) -> Value:
    """[..., M, K] x constant [K, N], with the weights packed by column blocks."""
    assert weight.constant is not None
    if multiplies_bfloat16(lowering.machine, weight.constant):
        return lower_bfloat16(lowering, data, weight.constant, shape)
    packed = layout.pack_matmul_weight(weight.constant, lowering.block)
    rows = math.prod(shape[:-1])
    packed = stored_weight(packed, rows, lowering.machine)
    tile_rows = choose_rows(packed.shape[0], rows, lowering.machine)
    plain = lowering.form.plain(data)
    if rows % tile_rows and rows not in shape:  # tiles that end within a row of rows have no affine map back
        plain = reshaped(lowering, plain, (rows, data.shape[-1]))
    result = lowering.emit_te(
        "matmul", dense.matmul_packed, plain, lowering.weight(packed), columns=shape[-1], tile_rows=tile_rows
    )
    return Value(shape, data.dtype, plain=reshaped(lowering, result, shape))


def lower_bfloat16(lowering: CpuLowering, data: Value, weight: Array, shape: tuple[int, ...]) -> Value:
    """[..., M, K] x constant [K, N], both rounded to bfloat16."""
    packed = bfloat16.pack_matmul_weight(weight, lowering.block)
    rows = math.prod(shape[:-1])
    tile_rows = choose_rows(packed.shape[0], rows, lowering.machine, bfloat16.ARITHMETIC)
    plain = reshaped(lowering, lowering.form.plain(data), (rows, data.shape[-1]))
    tensors = (plain, lowering.weight(packed))
    result = lowering.emit_te("matmul", bfloat16.matmul, *tensors, columns=shape[-1], tile_rows=tile_rows)
    return Value(shape, data.dtype, plain=reshaped(lowering, result, shape))


def lower_rows(lowering: CpuLowering, call: relax.Call, left: Value, shape: tuple[int, ...]) -> Value | None:
    """[..., M, K] x [..., K, N] of few rows, the right side read where it lies: a token's attention to a cache."""
    rows, columns = shape[-2:]
    right = static_shape(call.args[1])
    if rows > UNPACKED_ROWS or columns % lowering.block or right is None or left.shape[:-2] != right[:-2]:
        return None
    view = trace_view(lowering, call.args[1])
    if view.scale != 1.0:
        return None
    matrices = reshaped(lowering, lowering.form.plain(left), (math.prod(left.shape[:-2]), *left.shape[-2:]))

    def product(data: te.Tensor, source: te.Tensor) -> te.Tensor:
        return dense.batch_matmul_rows(data, as_matrices(view, source), lowering.block, rows)

    result = lowering.emit_te("batch_matmul", product, matrices, lowering.expression(view.source))
    return Value(shape, left.dtype, plain=reshaped(lowering, result, shape))


def lower_batch(lowering: CpuLowering, left: Value, right: Value, shape: tuple[int, ...]) -> Value | None:
    """[..., M, K] x [..., K, N]: the leading axes of both agree, or one has none (or only of one element)."""
    batches = [math.prod(value.shape[:-2]) for value in (left, right)]
    if left.shape[:-2] != right.shape[:-2] and 1 not in batches:
        return None
    plain = lowering.form.plain
    matrices = [
        reshaped(lowering, plain(value), (batch, *value.shape[-2:]))
        for value, batch in zip((left, right), batches, strict=True)
    ]
    packed = lowering.builder.emit_te(dense.pack_right, matrices[1], lowering.block, primfunc_name_hint="pack_right")
    count = layout.blocks(shape[-1], lowering.block)
    result = lowering.emit_te(
        "batch_matmul",
        dense.batch_matmul,
        matrices[0],
        packed,
        columns=shape[-1],
        tile_rows=choose_rows(count, shape[-2], lowering.machine),
    )
    return Value(shape, left.dtype, plain=reshaped(lowering, result, shape))
