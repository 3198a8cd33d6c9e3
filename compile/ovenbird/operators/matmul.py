"""Matrix product with a constant right-hand side, packed by column blocks."""

from __future__ import annotations

from typing import Any

from tvm import te

from ovenbird.operators.conv2d import ANCHOR
from ovenbird.operators.layout import extents


def matmul_packed(data: te.Tensor, weight: te.Tensor, columns: int) -> te.Tensor:
    """[..., M, K] x [N/b, K, b] -> [..., M, N]: the rows of all leading axes are one matrix."""
    *leading, rows, depth = extents(data)
    count, _, block = extents(weight)
    total = rows
    for extent in leading:
        total *= extent
    k = te.reduce_axis((0, depth), name="k")

    def element(m: Any) -> Any:
        index: list[Any] = []
        for extent in reversed([*leading, rows]):
            index.append(m % extent)
            m = m // extent
        at = (*reversed(index), k)
        return data[at]

    blocked = te.compute(
        (count, total, block),
        lambda o, m, v: te.sum(element(m) * weight[o, k, v], axis=[k]),
        name="matmul",
        attrs={ANCHOR: "tile"},
    )

    def body(*index):  # type: ignore[no-untyped-def]
        *outer, n = index
        m = outer[0]
        for axis, extent in zip(outer[1:], [*leading, rows][1:], strict=True):
            m = m * extent + axis
        return blocked[n // block, m, n % block]

    return te.compute((*leading, rows, columns), body, name="unblock")
