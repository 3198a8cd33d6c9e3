"""Scaled dot-product attention in one function: softmax(q k * scale + masks) v, for every matrix of a batch.

Keys and values of one matrix are packed into blocks of lanes; then, for a tile of query rows at a time, the scores are
computed, normalised and used while they are in the cache (the order of FlashAttention, Dao et al. 2022,
https://arxiv.org/abs/2205.14135, without its split of the keys: a tile of scores is a few kilobytes here).

Rows past the end repeat the last one and are dropped; key columns past the end count as minus infinity.

Where q, k and v come as the bits of bfloat16, the powers are rounded as well, and both products are of those, two at a
time (`operators.bfloat16.sums`); scores and their sums are float32.

Example: ViT-B/16 has 12 matrices of 197 queries, 197 keys and 64 columns a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tvm import te, tirx

from ovenbird.operators.anchors import ROWS, STEP, VECTORS, anchored
from ovenbird.operators.anchors import AttentionStages as Stage
from ovenbird.operators.bfloat16 import sums as bfloat16
from ovenbird.operators.bfloat16.numbers import rounded_bits, widened_bits
from ovenbird.operators.dense import unravel
from ovenbird.operators.layout import blocks, extents

FLOAT = "float32"
ViewFunction = Callable[[te.Tensor], te.Tensor]
"""Takes the element expression of a tensor apart no further: a tensor from a tensor."""


@dataclass(frozen=True)
class AttentionPlan:
    """What is constant of one attention: views, scale, masks' leading shapes, tiling.

    `views` give q [B, M, D], k [B, D, N] and v [B, N, E] from the tensors passed. `mask_shapes` are the shapes of the
    scores to which each mask is added, the last two axes being M and N. `keep_empty`: a row whose scores are all minus
    infinity gives zeros, not NaN.
    """

    views: tuple[ViewFunction, ViewFunction, ViewFunction]
    scale: float
    mask_shapes: tuple[tuple[int, ...], ...]
    keep_empty: bool
    lanes: int
    rows: int
    score_vectors: int


def pack_mask(mask: te.Tensor, lanes: int, padded: int) -> te.Tensor:
    """[..., N] -> [..., padded / lanes, lanes]: the last axis in blocks, minus infinity past its end."""
    *lead, columns = extents(mask)

    def body(*index: Any) -> Any:
        n = index[-2] * lanes + index[-1]
        low = tirx.const(float("-inf"), mask.dtype)
        at = (*index[:-2], tirx.min(n, columns - 1))
        return tirx.if_then_else(n < columns, mask[at], low)

    return te.compute((*lead, padded // lanes, lanes), body, name="pack_mask")


def attention(*tensors: te.Tensor, plan: AttentionPlan) -> te.Tensor:
    """Compute attention: sources of q, k and v, then packed masks -> [B, M, E]."""
    query, key, value = (view(tensor) for view, tensor in zip(plan.views, tensors[:3], strict=True))
    masks = tensors[3:]
    batch, rows, _ = extents(query)
    columns, width = extents(key)[2], extents(value)[2]
    lanes, halves = plan.lanes, query.dtype == "uint16"
    taps = bfloat16.TAPS if halves else 1
    padded_rows = -(-rows // plan.rows) * plan.rows
    key_blocks = -(-blocks(columns, lanes) // plan.score_vectors) * plan.score_vectors
    value_blocks = blocks(width, lanes)
    low = tirx.const(float(tirx.min_value(FLOAT).value), FLOAT)

    keys = packed(key, key_blocks, lanes, taps, Stage.KEYS)
    values = packed(value, value_blocks, lanes, taps, Stage.VALUES)
    shape = (batch, key_blocks, padded_rows, lanes)
    products = summed(
        shape, lambda b, m, d, tap: query[b, inside(m, rows, padded_rows), d * taps + tap], keys, taps, Stage.PRODUCTS
    )

    def score(b: Any, o: Any, m: Any, v: Any) -> Any:
        result = products[b, o, m, v] * tirx.const(plan.scale, FLOAT)
        for mask, mask_shape in zip(masks, plan.mask_shapes, strict=True):
            result = result + mask[mask_index(mask, mask_shape, b, inside(m, rows, padded_rows), o, v)]
        if not masks and key_blocks * lanes > columns:
            minus_infinity = tirx.const(float("-inf"), FLOAT)
            result = tirx.Select(o * lanes + v < columns, result, minus_infinity)
        return result

    scores = te.compute(shape, score, name=Stage.SCORES)
    o1 = te.reduce_axis((0, key_blocks), name="o1")
    lane_max = te.compute(
        (batch, padded_rows, lanes),
        lambda b, m, v: te.max(scores[b, o1, m, v], axis=[o1]),
        name=Stage.LANE_MAX,
    )
    v1 = te.reduce_axis((0, lanes), name="v1")
    row_max = te.compute((batch, padded_rows), lambda b, m: te.max(lane_max[b, m, v1], axis=[v1]), name=Stage.ROW_MAX)

    # At least the lowest finite number: minus infinity less minus infinity would be NaN.
    def power(b: Any, o: Any, m: Any, v: Any) -> Any:
        exact = tirx.exp(scores[b, o, m, v] - tirx.max(row_max[b, m], low))
        return rounded_bits(exact) if halves else exact

    powers = te.compute(shape, power, name=Stage.POWERS)

    def added(b: Any, o: Any, m: Any, v: Any) -> Any:
        found = powers[b, o, m, v]
        return widened_bits(found) if halves else found

    o2 = te.reduce_axis((0, key_blocks), name="o2")
    lane_sum = te.compute(
        (batch, padded_rows, lanes),
        lambda b, m, v: te.sum(added(b, o2, m, v), axis=[o2]),
        name=Stage.LANE_SUM,
    )
    v2 = te.reduce_axis((0, lanes), name="v2")
    row_sum = te.compute((batch, padded_rows), lambda b, m: te.sum(lane_sum[b, m, v2], axis=[v2]), name=Stage.ROW_SUM)
    steps = lanes // taps
    weighted = summed(
        (batch, value_blocks, padded_rows, lanes),
        lambda b, m, n, tap: powers[b, n // steps, m, n % steps * taps + tap],
        values,
        taps,
        Stage.WEIGHTED,
        anchored("attention", {ROWS: plan.rows, VECTORS: plan.score_vectors, **({STEP: taps} if halves else {})}),
    )

    def divisor(b: Any, m: Any) -> Any:
        total = row_sum[b, m]
        if not plan.keep_empty:
            return total
        one = tirx.const(1.0, FLOAT)
        return tirx.Select(total == tirx.const(0.0, FLOAT), one, total)

    return te.compute(
        (batch, rows, width),
        lambda b, m, e: weighted[b, e // lanes, m, e % lanes] / divisor(b, m),
        name="attention",
    )


def packed(matrices: te.Tensor, count: int, lanes: int, taps: int, name: str) -> te.Tensor:
    """[B, K, N] -> [B, blocks, ceil(K / taps), lanes * taps]: the `taps` rows of a step side by side in each column.

    Columns past the end repeat the last one; rows past the end are zeros.
    """
    batch, depth, columns = extents(matrices)
    steps = blocks(depth, taps)

    def element(b: Any, o: Any, k: Any, w: Any) -> Any:
        row, column = k * taps + w % taps, inside(o * lanes + w // taps, columns, count * lanes)
        if depth == steps * taps:
            return matrices[b, row, column]
        zero = tirx.const(0, matrices.dtype)
        return tirx.Select(row < depth, matrices[b, tirx.min(row, depth - 1), column], zero)

    return te.compute((batch, count, steps, lanes * taps), element, name=name)


def summed(
    shape: tuple[int, ...],
    element: Callable[..., Any],
    matrix: te.Tensor,
    taps: int,
    name: str,
    attrs: dict[str, Any] | None = None,
) -> te.Tensor:
    """Return sums [B, blocks, M, lanes] of `element(b, m, step, tap)` by a packed matrix, as float32."""
    step = te.reduce_axis((0, extents(matrix)[2]), name="k")
    if taps == 1:
        return te.compute(
            shape, lambda b, o, m, v: te.sum(element(b, m, step, 0) * matrix[b, o, step, v], axis=[step]),
            name=name, attrs=attrs,
        )  # fmt: skip
    tap = te.reduce_axis((0, taps), name="tap")

    def product(b: Any, o: Any, m: Any, v: Any) -> Any:
        return bfloat16.product(element(b, m, step, tap), matrix[b, o, step, v * taps + tap])

    return te.compute(shape, lambda *at: te.sum(product(*at), axis=[step, tap]), name=name, attrs=attrs)


def inside(index: Any, extent: int, padded: int) -> Any:
    """`index`, held at the last element where the padded extent goes past it."""
    return tirx.min(index, extent - 1) if padded > extent else index


def mask_index(mask: te.Tensor, shape: Sequence[int], b: Any, m: Any, o: Any, v: Any) -> tuple[Any, ...]:
    """Return the index into a packed mask that is broadcast to scores of `shape`, for the matrix at position `b`."""
    index = [*unravel(b, shape[:-2]), m]
    sizes = extents(mask)[:-2]
    index = index[len(index) - len(sizes) :]
    return (*(0 if size == 1 else part for part, size in zip(index, sizes, strict=True)), o, v)
