"""Helpers shared by the schedules: finding, inlining and walking the blocks of a fused function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import tvm
import tvm_ffi
from tvm.s_tir import SBlockRealize, Schedule
from tvm.s_tir.schedule import LoopRV, SBlockRV

from ovenbird.operators.anchors import ANCHOR, Anchor, AnchorKind, size_bytes


@dataclass(frozen=True)
class Stages:
    """The blocks of a fused function around its anchor, in program order; `output` may be the anchor itself.

    `found`: what is known of the anchor.
    """

    before: list[SBlockRV]
    anchor: SBlockRV
    output: SBlockRV
    found: Anchor


def leaf_blocks(sch: Schedule) -> list[SBlockRV]:
    """Return all blocks of the function, in program order; none where TVM wrote plain loops
    into a single one (scatter).
    """
    body = sch.mod["main"].body
    if not isinstance(body, SBlockRealize) or body.block.name_hint != "root":
        return []
    return list(sch.get_child_blocks(sch.get_sblock("root")))


def branches(sch: Schedule, block: SBlockRV) -> bool:
    """Return whether an element is computed one way or another, only one of which may be evaluated."""
    return any(name.endswith(".if_then_else") for name in called(sch, block))


def called(sch: Schedule, block: SBlockRV) -> list[str]:
    """Return the names of the functions that a block calls."""
    calls: list[tvm.ir.Call] = []
    tvm_ffi.structural_walk(sch.get(block).body, (tvm.ir.Call, calls.append))
    return [str(getattr(call.op, "name", "")) for call in calls]


def find_anchor(sch: Schedule) -> Anchor | None:
    """Return the function's first anchor, None where it has none."""
    return anchor_among(sch, leaf_blocks(sch))


def anchor_among(sch: Schedule, blocks: list[SBlockRV]) -> Anchor | None:
    """Return the first anchor among blocks that a schedule has in hand: asking again would lengthen its trace."""
    return next(iter(anchors_among(sch, blocks)), None)


def anchors_among(sch: Schedule, blocks: list[SBlockRV]) -> list[Anchor]:
    """Return all anchors among blocks, in program order."""
    found = []
    for block in blocks:
        body = sch.get(block)
        kind = body.annotations.get(ANCHOR)
        if kind is None:
            continue
        found.append(
            Anchor(
                block,
                kind=cast(AnchorKind, str(kind)),
                accumulator=str(body.writes[0].source.dtype),
                operands=tuple(str(read.source.dtype) for read in body.reads),
                details={str(name): value for name, value in body.annotations.items() if name != ANCHOR},
            )
        )
    return found


def find_stages(sch: Schedule) -> Stages:
    """Find the anchor and inline every block between it and the last one."""
    blocks = leaf_blocks(sch)
    anchor = anchor_among(sch, blocks)
    assert anchor is not None
    position = next(index for index, block in enumerate(blocks) if block is anchor.block)
    for block in blocks[position + 1 : -1]:
        sch.compute_inline(block)
    return Stages(before=blocks[:position], anchor=blocks[position], output=blocks[-1], found=anchor)


def extent(sch: Schedule, loop: LoopRV) -> int:
    """Return the static extent of a loop."""
    return int(sch.get(loop).extent)


def is_reduction(sch: Schedule, block: SBlockRV) -> bool:
    """Return True if the block accumulates over an axis."""
    return sch.get(block).init is not None


def widest_dtype(sch: Schedule, block: SBlockRV) -> str:
    """Return the dtype of the largest elements that the block writes or reads: those decide how many make a vector."""
    body = sch.get(block)
    return max((str(region.source.dtype) for region in (*body.writes, *body.reads)), key=size_bytes)


def divisors(number: int, limit: int) -> list[int]:
    """Return the divisors of `number` up to `limit`, ascending."""
    return [d for d in range(1, min(number, limit) + 1) if number % d == 0]


def fuse_all(sch: Schedule, loops: list[LoopRV]) -> LoopRV:
    """Fuse loops into one (a single loop stays as it is)."""
    return sch.fuse(*loops) if len(loops) > 1 else loops[0]
