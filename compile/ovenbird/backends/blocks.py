"""Helpers shared by the schedules: finding, inlining and walking the blocks of a fused function."""

from __future__ import annotations

from dataclasses import dataclass

from tvm.s_tir import SBlockRealize, Schedule
from tvm.s_tir.schedule import LoopRV, SBlockRV

from ovenbird.operators.conv2d import ANCHOR


@dataclass(frozen=True)
class Stages:
    """The blocks of a fused function around its anchor, in program order; `output` may be the anchor itself."""

    before: list[SBlockRV]
    anchor: SBlockRV
    output: SBlockRV


def leaf_blocks(sch: Schedule) -> list[SBlockRV]:
    """All blocks of the function, in program order; none where TVM wrote plain loops into a single one (scatter)."""
    body = sch.mod["main"].body
    if not isinstance(body, SBlockRealize) or body.block.name_hint != "root":
        return []
    return list(sch.get_child_blocks(sch.get_sblock("root")))


def anchor_kind(sch: Schedule) -> str | None:
    """The annotation of the function's anchor block, None where it has none."""
    for block in leaf_blocks(sch):
        kind = sch.get(block).annotations.get(ANCHOR)
        if kind is not None:
            return str(kind)
    return None


def find_stages(sch: Schedule, inline_after: bool = True) -> Stages:
    """Finds the anchor and inlines every block between it and the last one."""
    blocks = leaf_blocks(sch)
    position = next(i for i, block in enumerate(blocks) if ANCHOR in sch.get(block).annotations)
    if inline_after:
        for block in blocks[position + 1 : -1]:
            sch.compute_inline(block)
    return Stages(before=blocks[:position], anchor=blocks[position], output=blocks[-1])


def extent(sch: Schedule, loop: LoopRV) -> int:
    """The static extent of a loop."""
    return int(sch.get(loop).extent)


def is_reduction(sch: Schedule, block: SBlockRV) -> bool:
    """True if the block accumulates over an axis."""
    return sch.get(block).init is not None


def divisors(number: int, limit: int) -> list[int]:
    """The divisors of `number` up to `limit`, ascending."""
    return [d for d in range(1, min(number, limit) + 1) if number % d == 0]


def fuse_all(sch: Schedule, loops: list[LoopRV]) -> LoopRV:
    """Fuses loops into one (a single loop stays as it is)."""
    return sch.fuse(*loops) if len(loops) > 1 else loops[0]
