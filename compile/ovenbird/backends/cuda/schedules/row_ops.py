"""Reductions: a thread an output where there are many of them, a group of threads an output where there are few.

Softmax and layer norm, whose reductions feed each other, are dlight's (`tvm.s_tir.dlight.gpu`).

Example: `schedule_rows(sch, GroupPlan())` for a mean over [N, H, W, C]'s pixels.
"""

from __future__ import annotations

from tvm.s_tir import Schedule
from tvm.s_tir import dlight as dl
from tvm.s_tir.schedule import SBlockRV
from tvm.target import Target

from ovenbird.backends.cuda.chip import WARP, Chip
from ovenbird.backends.cuda.plans.inspection import find_reduction
from ovenbird.backends.cuda.plans.plan import GroupPlan, ThreadPlan
from ovenbird.backends.cuda.schedules.threads import inline_around, schedule_threads
from ovenbird.errors import BuildFailed
from ovenbird.operators.writing.blocks import extent, fuse_all, leaf_blocks


def schedule_rows(sch: Schedule, plan: ThreadPlan | GroupPlan) -> None:
    """Schedule a function with one reduction, which its output has one element for each of."""
    blocks = leaf_blocks(sch)
    if isinstance(plan, ThreadPlan):
        schedule_threads(sch, blocks[-1], plan.threads)
    else:
        schedule_group(sch, find_reduction(sch), blocks[-1], plan)


def schedule_group(sch: Schedule, reduction: SBlockRV, output: SBlockRV, plan: GroupPlan) -> None:
    """Let a group of threads sum for each output; neighbouring outputs lie on neighbouring threads."""
    blocks = leaf_blocks(sch)
    inline_around(sch, [reduction, output], blocks)
    own = sch.get(output).name_hint == sch.get(reduction).name_hint
    if own:
        reduction = sch.cache_write(output, 0, "local")
        reduction, output = output, reduction
    fused = fuse_all(sch, list(sch.get_loops(output)))
    outer, columns = sch.split(fused, [None, min(plan.columns, max(1, extent(sch, fused)))])
    sch.bind(outer, "blockIdx.x")
    sch.bind(columns, "threadIdx.x")
    sch.compute_at(reduction, columns, preserve_unit_loops=True)
    sch.set_scope(reduction, 0, "local")
    variables = sch.get(reduction).iter_vars
    loops = sch.get_loops(reduction)[-len(variables) :]
    summed = [loop for loop, v in zip(loops, variables, strict=True) if v.iter_type != v.DataPar]
    _, group = sch.split(fuse_all(sch, summed), [None, plan.group])
    sch.bind(group, "threadIdx.y")


def schedule_chain(sch: Schedule, chip: Chip) -> Schedule:
    """Chained reductions by the first of dlight's rules that fits. Raises BuildFailed if none does."""
    target = Target(
        {
            "kind": "cuda",
            "arch": chip.arch,
            "max_threads_per_block": chip.max_threads,
            "max_shared_memory_per_block": chip.shared_bytes,
            "thread_warp_size": WARP,
        }
    )
    with target:
        for rule in (dl.gpu.Reduction(), dl.gpu.GeneralReduction(), dl.gpu.Fallback()):
            found = rule.apply(sch.mod["main"], target, False)
            if found is not None:
                return found[0] if isinstance(found, list) else found
    raise BuildFailed("no GPU schedule fits a chain of reductions")
