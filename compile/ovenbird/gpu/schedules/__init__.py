"""GPU schedules: one function a shape of work, chosen by what the fused function holds.

Example: `schedule_function(function, chip)` gives the scheduled PrimFunc, every loop nest bound to blocks and threads.
"""

from __future__ import annotations

from tvm import tirx
from tvm.s_tir import Schedule

from ovenbird.errors import BuildFailed
from ovenbird.gpu.chip import Chip
from ovenbird.gpu.schedules.matrix import schedule_product
from ovenbird.gpu.schedules.rows import schedule_rows
from ovenbird.gpu.schedules.threads import schedule_threads
from ovenbird.operators.conv2d import ANCHOR
from ovenbird.schedules.blocks import is_reduction, leaf_blocks


def apply_schedule(sch: Schedule, chip: Chip) -> tirx.PrimFunc:
    """Schedules the function in `sch` by the first rule that fits; gives the scheduled function."""
    blocks = leaf_blocks(sch)
    if not blocks:
        refuse(sch)
    if any(ANCHOR in sch.get(block).annotations for block in blocks):
        schedule_product(sch, chip)
    elif any(is_reduction(sch, block) for block in blocks):
        return schedule_rows(sch, chip)
    else:
        schedule_threads(sch, blocks[-1], chip)
    return sch.mod["main"]


def refuse(sch: Schedule) -> None:
    """Raises BuildFailed: TVM wrote the function as plain loops (a scatter), none of which can be bound to threads."""
    attrs = sch.mod["main"].attrs
    name = str(attrs["global_symbol"]) if attrs and "global_symbol" in attrs else "a function"
    raise BuildFailed(f"{name} is written as serial loops, which no GPU schedule can spread: compile for a CPU target")


def schedule_function(function: tirx.PrimFunc, chip: Chip) -> tirx.PrimFunc:
    """The scheduled function, its attributes kept. Raises BuildFailed for one that no rule can schedule."""
    scheduled = apply_schedule(Schedule(function, debug_mask="none"), chip)
    return scheduled.with_attrs(function.attrs) if function.attrs else scheduled
