"""Matrix products: a constant right-hand side packed by column blocks, or two activations with the right one packed.

Rows are computed in whole register tiles: those past the end repeat the last row and are dropped. That costs nothing
where the tile would be ragged otherwise, and keeps branches out of the inner loop.

Example: 197 rows in tiles of 9 are computed as 198.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tvm import te, tirx

from ovenbird.operators.anchors import VIEWED, anchored
from ovenbird.operators.layout import blocks, extents


def unravel(flat: Any, shape: Sequence[int]) -> tuple[Any, ...]:
    """Return the indices into `shape` of the element at position `flat`; axes of one element always have index 0."""
    index: list[Any] = []
    rest = math.prod(shape)
    outermost = True
    for extent in shape:
        rest //= extent
        if extent == 1:
            index.append(0)
            continue
        position = flat // rest if rest > 1 else flat
        index.append(position if outermost else position % extent)
        outermost = False
    return tuple(index)


def ravel(index: Sequence[Any], shape: Sequence[int]) -> Any:
    """Return the position of the element at `index` in `shape`."""
    flat: Any = 0
    for position, extent in zip(index, shape, strict=True):
        flat = flat * extent + position
    return flat


def matmul_packed(data: te.Tensor, weight: te.Tensor, columns: int, tile_rows: int = 1) -> te.Tensor:
    """[..., M, K] x [N/b, K, b] -> [..., M, N]: the rows of all leading axes are one matrix.

    Weights of float16 for data of float32 are widened as they are read.
    """
    shape = extents(data)
    rows, depth = shape[:-1], shape[-1]
    count, _, block = extents(weight)
    total = math.prod(rows)
    padded = -(-total // tile_rows) * tile_rows
    k = te.reduce_axis((0, depth), name="k")

    def element(m: Any) -> Any:
        at = (*unravel(tirx.min(m, total - 1) if padded > total else m, rows), k)
        return data[at]

    def widened(one: Any) -> Any:
        return one if weight.dtype == data.dtype else one.astype(data.dtype)

    blocked = te.compute(
        (count, padded, block),
        lambda o, m, v: te.sum(element(m) * widened(weight[o, k, v]), axis=[k]),
        name="matmul",
        attrs=anchored("tile"),
    )

    def body(*index: Any) -> Any:
        n = index[-1]
        return blocked[n // block, ravel(index[:-1], rows), n % block]

    return te.compute((*rows, columns), body, name="unblock")


def pack_right(data: te.Tensor, block: int) -> te.Tensor:
    """[B, K, N] -> [B, N/b, K, b]; columns past N repeat the last one."""
    batch, depth, columns = extents(data)

    def column(o: Any, v: Any) -> Any:
        n = o * block + v
        return n if columns % block == 0 else tirx.min(n, columns - 1)

    return te.compute(
        (batch, blocks(columns, block), depth, block),
        lambda b, o, k, v: data[b, k, column(o, v)],
        name="pack_right",
    )


def batch_matmul_rows(left: te.Tensor, right: te.Tensor, block: int, tile_rows: int = 1) -> te.Tensor:
    """[B, M, K] x [B, K, N] -> [B, M, N], N whole blocks: the right side is read where it lies.

    It is read once for each tile of rows; with few rows, packing it first would take longer.
    """
    batch, rows, depth = extents(left)
    columns = extents(right)[2]
    padded = -(-rows // tile_rows) * tile_rows
    k = te.reduce_axis((0, depth), name="k")

    def row(m: Any) -> Any:
        return tirx.min(m, rows - 1) if padded > rows else m

    blocked = te.compute(
        (batch, columns // block, padded, block),
        lambda b, o, m, v: te.sum(left[b, row(m), k] * right[b, k, o * block + v], axis=[k]),
        name="batch_matmul",
        attrs=anchored("tile", {VIEWED: 1}),
    )
    return te.compute((batch, rows, columns), lambda b, m, n: blocked[b, n // block, m, n % block], name="unblock")


def batch_matmul(left: te.Tensor, right: te.Tensor, columns: int, tile_rows: int = 1) -> te.Tensor:
    """[B, M, K] x [B, N/b, K, b] -> [B, M, N]; with one matrix on a side, it serves the whole batch."""
    rows, depth = extents(left)[1:]
    count, block = extents(right)[1], extents(right)[3]
    batch = max(extents(left)[0], extents(right)[0])
    padded = -(-rows // tile_rows) * tile_rows
    k = te.reduce_axis((0, depth), name="k")

    def matrix(tensor: te.Tensor, b: Any) -> Any:
        return b if extents(tensor)[0] > 1 else 0

    def row(m: Any) -> Any:
        return tirx.min(m, rows - 1) if padded > rows else m

    blocked = te.compute(
        (batch, count, padded, block),
        lambda b, o, m, v: te.sum(left[matrix(left, b), row(m), k] * right[matrix(right, b), o, k, v], axis=[k]),
        name="batch_matmul",
        attrs=anchored("tile"),
    )
    return te.compute((batch, rows, columns), lambda b, m, n: blocked[b, n // block, m, n % block], name="unblock")
