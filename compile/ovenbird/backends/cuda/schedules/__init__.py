"""GPU schedules: one function a shape of work, cut into blocks and threads as a plan says.

Example: `schedule_function(function, chip)` gives the scheduled PrimFunc, every loop nest bound to blocks and threads.
"""

from __future__ import annotations

from tvm import tirx
from tvm.s_tir import Schedule

from ovenbird.backends.cuda.chip import Chip
from ovenbird.backends.cuda.plans.inspection import kind_of
from ovenbird.backends.cuda.plans.plan import ChainPlan, GroupPlan, KernelPlan, ThreadPlan, VectorPlan
from ovenbird.backends.cuda.plans.space import default_plan
from ovenbird.backends.cuda.plans.tiling import Tiling
from ovenbird.backends.cuda.schedules.plain_loops import bind_loops, has_parallel_loops
from ovenbird.backends.cuda.schedules.product import schedule_product
from ovenbird.backends.cuda.schedules.row_ops import schedule_chain, schedule_rows
from ovenbird.backends.cuda.schedules.threads import schedule_threads
from ovenbird.errors import BuildFailed
from ovenbird.operators.writing.blocks import leaf_blocks


def apply_schedule(sch: Schedule, chip: Chip, plan: KernelPlan | None = None) -> Schedule:
    """Schedule the function in `sch` by a plan of its space (the default one); return the schedule with its trace.

    Raises BuildFailed for a function that no rule can schedule; TVM's own errors where the plan is not of its space.
    """
    blocks = leaf_blocks(sch)
    if not blocks:
        refuse(sch)
    plan = default_plan(sch, chip) if plan is None else plan
    if isinstance(plan, ChainPlan):
        return schedule_chain(sch, chip)
    if isinstance(plan, Tiling | VectorPlan):
        schedule_product(sch, plan)
    elif isinstance(plan, GroupPlan) or kind_of(sch) == "reduction":
        schedule_rows(sch, plan)
    elif isinstance(plan, ThreadPlan):
        schedule_threads(sch, blocks[-1], plan.threads)
    return sch


def refuse(sch: Schedule) -> None:
    """Raise BuildFailed: TVM wrote the function as plain loops (a scatter), none of which can be bound to threads."""
    attrs = sch.mod["main"].attrs
    name = str(attrs["global_symbol"]) if attrs and "global_symbol" in attrs else "a function"
    raise BuildFailed(f"{name} is written as serial loops, which no GPU schedule can spread: compile for a CPU target")


def schedule_function(function: tirx.PrimFunc, chip: Chip) -> tirx.PrimFunc:
    """Return the function by its default plan, its attributes kept. Raises BuildFailed for want of a rule."""
    if has_parallel_loops(function):
        return bind_loops(function)
    scheduled = apply_schedule(Schedule(function, debug_mask="none"), chip).mod["main"]
    return scheduled.with_attrs(function.attrs) if function.attrs else scheduled
