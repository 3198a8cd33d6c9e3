"""The contract between operators and schedules: what the blocks of a kernel are called, and which of them matters most.

The block that accumulates carries an annotation with its kind, by which a schedule recognises it after fusion; an
operator of several stages names its blocks by the constants here, and schedules find them by the same. Tuning records
hold both: another name makes every record of that operator stale.

Example: `te.compute(shape, body, name="conv2d", attrs=anchored("tile"))`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from tvm.s_tir.schedule import SBlockRV

AnchorKind = Literal["tile", "depthwise", "winograd", "lanes", "rows", "attention", "concatenation", "product"]
"""tile: vectors of outputs, summed over [..., operand]; depthwise: a window over each channel; lanes: a sum that keeps
the lanes apart; rows: a sum over each row; product: C[s, i, j] = sum_k A[s, i, k] * B[s, j, k]."""

ANCHOR = "ovenbird.anchor"
PARTS = "ovenbird.parts"
"""Of a concatenation: the channel blocks of each part."""

DILATION = "ovenbird.dilation"
"""Of a convolution whose window has gaps: how many rows lie between two of its rows."""

STEP = "ovenbird.step"
"""Of sums of products of 8-bit numbers: how many products, along the innermost axis of the sum, are one step."""

NARROW = "ovenbird.narrow"
"""Of the same sums: two neighbouring products of a step always fit in 16 bits, by what the weights are."""

RUNS = "ovenbird.runs"
"""Of a product: how many elements along k lie side by side in each operand, at multiples of that number."""

VIEWED = "ovenbird.viewed"
"""Of a product whose right side is read where it lies: the stages before it move elements only."""

ROWS, VECTORS = "ovenbird.rows", "ovenbird.vectors"
"""Of attention: rows of a tile, and vectors of scores computed together."""


def anchored(kind: AnchorKind, details: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the annotations of an anchor block, for `te.compute`; `details` by the names above."""
    return {ANCHOR: kind, **(details or {})}


class AttentionStages:
    """The blocks of `operators.attention`, in their order."""

    KEYS = "keys"
    VALUES = "values"
    PRODUCTS = "products"
    SCORES = "scores"
    LANE_MAX = "lane_max"
    ROW_MAX = "row_max"
    POWERS = "powers"
    LANE_SUM = "lane_sum"
    ROW_SUM = "row_sum"
    WEIGHTED = "weighted"


class PointwiseStages:
    """The blocks of a 1x1 convolution in `operators.conv2d`, in their order."""

    SUMS = "conv2d"
    IMAGE = "unflatten"


class DepthwiseStages:
    """The blocks of a depthwise convolution whose image has a border, in their order."""

    PADDED = "pad"
    SUMS = "depthwise_conv2d"


class WinogradStages:
    """The blocks of `operators.winograd`, in their order."""

    GATHER = "gather"
    ROWS = "rows"
    TRANSFORM = "transform"
    PRODUCT = "winograd"
    COLUMNS = "columns"
    INVERSE = "inverse"
    SCATTER = "scatter"


class RowStages:
    """The blocks of `operators.row_ops` that are not computed again for each element; reductions have two stages."""

    POWERS = "powers"
    FACTOR = "row_factor"
    MOMENTS = "moments"
    """An output of two rows for each row of the data."""
    LANES = "_lanes"
    """Behind the name of a reduction: its first stage, which keeps the lanes apart."""


class Arithmetic(NamedTuple):
    """What decides how a sum is computed: the dtype of the sums, that of the weights, or what is read last, how many
    products one step has, and whether two of them fit in 16 bits.
    """

    accumulator: str
    operand: str
    taps: int = 1
    narrow: bool = False


FLOAT32 = Arithmetic("float32", "float32")


@dataclass(frozen=True)
class Anchor:
    """An anchor block as a schedule finds it: its kind, the dtypes of its sums and of what it reads, its details."""

    block: SBlockRV
    kind: AnchorKind
    accumulator: str
    operands: tuple[str, ...]
    details: Mapping[str, Any]

    @property
    def operand(self) -> str:
        """The dtype of the operand that is read last: the weights, where there are any."""
        return self.operands[-1]

    @property
    def taps(self) -> int:
        """How many products are one step of the sum: 1, but for 8-bit numbers."""
        return int(self.details.get(STEP, 1))

    @property
    def arithmetic(self) -> Arithmetic:
        """The dtypes of the sums and of the operand, and what is known of a step."""
        return Arithmetic(self.accumulator, self.operand, self.taps, NARROW in self.details)


def size_bytes(dtype: str) -> int:
    """Return the bytes of one element: 4 for float32, 1 for bool."""
    bits = "".join(filter(str.isdigit, dtype.partition("x")[0]))
    return (int(bits or 8) + 7) // 8
