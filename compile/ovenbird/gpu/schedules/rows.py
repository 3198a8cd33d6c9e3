"""Reductions: a thread an output where there are many of them, a group of threads an output where there are few.

Softmax and layer norm, whose reductions feed each other, are dlight's (`tvm.s_tir.dlight.gpu`).

Example: `schedule_rows(sch, chip)` for a mean over [N, H, W, C]'s pixels.
"""

from __future__ import annotations

from tvm import tirx
from tvm.ir import IRModule
from tvm.s_tir import Schedule
from tvm.s_tir import dlight as dl
from tvm.s_tir.schedule import SBlockRV
from tvm.target import Target

from ovenbird.errors import BuildFailed
from ovenbird.gpu.chip import WARP, Chip
from ovenbird.gpu.schedules.threads import inline_around, schedule_threads
from ovenbird.schedules.blocks import extent, fuse_all, is_reduction, leaf_blocks

#: A thread sums at most this many elements alone, unless there are outputs enough for every multiprocessor.
LONG = 64
GROUP, COLUMNS = 16, 32


def schedule_rows(sch: Schedule, chip: Chip) -> tirx.PrimFunc:
    """Schedules a function with one reduction or several; gives the scheduled function."""
    blocks = leaf_blocks(sch)
    reductions = [block for block in blocks if is_reduction(sch, block)]
    outputs, summed = sizes(sch, reductions[0])
    one_for_each = len(reductions) == 1 and same_elements(sch, reductions[0], blocks[-1])
    if one_for_each and (summed <= LONG or outputs >= 2048 * chip.multiprocessors):
        schedule_threads(sch, blocks[-1], chip)
    elif one_for_each:
        schedule_group(sch, reductions[0], blocks[-1])
    else:
        return dlight_schedule(sch.mod["main"], chip)
    return sch.mod["main"]


def sizes(sch: Schedule, block: SBlockRV) -> tuple[int, int]:
    """How many elements a reduction gives, and how many it reads for each."""
    outputs = summed = 1
    for variable in sch.get(block).iter_vars:
        if variable.iter_type == variable.DataPar:
            outputs *= int(variable.dom.extent)
        else:
            summed *= int(variable.dom.extent)
    return outputs, summed


def same_elements(sch: Schedule, reduction: SBlockRV, output: SBlockRV) -> bool:
    """True if the function's output has one element for each of the reduction's."""
    written = 1
    for length in sch.get(output).writes[0].source.shape:
        written *= int(length)
    return written == sizes(sch, reduction)[0]


def schedule_group(sch: Schedule, reduction: SBlockRV, output: SBlockRV) -> None:
    """A group of threads sums for each output; neighbouring outputs lie on neighbouring threads."""
    blocks = leaf_blocks(sch)
    inline_around(sch, [reduction, output], blocks)
    own = sch.get(output).name_hint == sch.get(reduction).name_hint
    if own:
        reduction = sch.cache_write(output, 0, "local")
        reduction, output = output, reduction
    fused = fuse_all(sch, list(sch.get_loops(output)))
    outer, columns = sch.split(fused, [None, min(COLUMNS, max(1, extent(sch, fused)))])
    sch.bind(outer, "blockIdx.x")
    sch.bind(columns, "threadIdx.x")
    sch.compute_at(reduction, columns, preserve_unit_loops=True)
    sch.set_scope(reduction, 0, "local")
    variables = sch.get(reduction).iter_vars
    loops = sch.get_loops(reduction)[-len(variables) :]
    summed = [loop for loop, v in zip(loops, variables, strict=True) if v.iter_type != v.DataPar]
    _, group = sch.split(fuse_all(sch, summed), [None, GROUP])
    sch.bind(group, "threadIdx.y")


def dlight_schedule(function: tirx.PrimFunc, chip: Chip) -> tirx.PrimFunc:
    """The function scheduled by dlight's rules for chained reductions. Raises BuildFailed if none fits."""
    target = Target(
        {
            "kind": "cuda",
            "arch": chip.arch,
            "max_threads_per_block": chip.max_threads,
            "max_shared_memory_per_block": chip.shared_bytes,
            "thread_warp_size": WARP,
        }
    )
    rules = dl.ApplyDefaultSchedule(dl.gpu.Reduction(), dl.gpu.GeneralReduction(), dl.gpu.Fallback())
    with target:
        done = rules(IRModule({"main": function}))
    scheduled = done["main"]
    if not isinstance(scheduled, tirx.PrimFunc) or scheduled.same_as(function):
        raise BuildFailed("no GPU schedule fits a chain of reductions")
    return scheduled
