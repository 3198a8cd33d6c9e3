"""The search space of one GPU function: every plan that fits the chip, the default first, then by estimate.

plans = plan_space(Schedule(function), chip)
plans[0] == default_plan(Schedule(function), chip)      # what is taken without tuning

Only plans within the chip's threads, shared memory and registers are listed; what ptxas says of the registers in the
end is checked when a candidate is built (`ovenbird.backends.cuda.usage`).
"""

from __future__ import annotations

from tvm.s_tir import Schedule

from ovenbird.backends.cuda.chip import WARP, Chip
from ovenbird.backends.cuda.plans.inspection import find_reduction, kind_of, product_anchor, shape_of, sizes
from ovenbird.backends.cuda.plans.plan import ChainPlan, GroupPlan, KernelPlan, ThreadPlan, VectorPlan
from ovenbird.backends.cuda.plans.tiling import FEW_ROWS, ProductShape, Tiling, choose_tiling, estimate, splits_for
from ovenbird.backends.cuda.plans.wide_tiles import wide_tiles

LONG = 64
"""A thread sums at most this many elements alone, unless there are outputs enough for every multiprocessor."""

MANY = 2048
"""Outputs for each multiprocessor that are enough."""

TRIED_ROWS = 16
"""Products of at most this many rows are also tried without tiles, and those without tiles also with them."""

TILINGS_MAX = 64
"""The most tilings that are tried for one product."""

THREADS = (64, 128, 256, 512, 1024)
GROUPS, COLUMNS = (8, 16, 32, 64), (8, 16, 32, 64)
WARPS, LANES = (1, 2, 4, 8, 16), (WARP, 2 * WARP, 4 * WARP)


def default_plan(sch: Schedule, chip: Chip) -> KernelPlan:
    """Return the plan that is taken where nothing was measured."""
    kind = kind_of(sch)
    if kind == "product":
        anchor = product_anchor(sch)
        shape = shape_of(sch, anchor.block)
        narrow = shape.rows <= FEW_ROWS or not tileable(shape)
        return VectorPlan() if narrow else choose_tiling(shape, chip, anchor.operand)
    if kind == "reduction":
        outputs, summed = sizes(sch, find_reduction(sch))
        return ThreadPlan() if summed <= LONG or outputs >= MANY * chip.multiprocessors else GroupPlan()
    return ChainPlan() if kind == "chain" else ThreadPlan()


def plan_space(sch: Schedule, chip: Chip) -> list[KernelPlan]:
    """Return all plans for an unscheduled function, the default first."""
    default, kind = default_plan(sch, chip), kind_of(sch)
    found: list[KernelPlan] = [default]
    if kind == "product":
        anchor = product_anchor(sch)
        found += product_plans(shape_of(sch, anchor.block), anchor.operand, chip)
    elif kind == "reduction":
        found += reduction_plans(sizes(sch, find_reduction(sch))[1], chip)
    elif kind == "elements":
        found += thread_plans(chip)
    return list(dict.fromkeys(found))


def tileable(shape: ProductShape) -> bool:
    """Return whether tiles fit: of a single row or column all of a tile's would be written to
    the one place of the output.

    (Where an axis has one element TVM drops the condition that keeps a tile's padding from being written.)
    """
    return min(shape.rows, shape.columns) > 1


def product_plans(shape: ProductShape, dtype: str, chip: Chip) -> list[KernelPlan]:
    """Return the tilings by their estimate, the best first; for few rows vectors too, which no
    estimate compares with them.
    """
    vectors: list[KernelPlan] = []
    if shape.rows <= TRIED_ROWS or not tileable(shape):
        vectors = [
            VectorPlan(warps, lanes)
            for lanes in LANES
            for warps in WARPS
            if warps * lanes <= chip.max_threads and lanes <= shape.inner
        ]
    if not tileable(shape):
        return vectors
    tilings = [Tiling(tile, splits) for tile in wide_tiles(chip, dtype) for splits in splits_for(shape)]
    tilings.sort(key=lambda tiling: estimate(shape, tiling, chip, dtype))
    return [*vectors, *tilings[:TILINGS_MAX]]


def reduction_plans(summed: int, chip: Chip) -> list[KernelPlan]:
    """Return one thread an output, and groups in which each thread has two elements to sum at least."""
    groups = [
        GroupPlan(group, columns)
        for group in GROUPS
        for columns in COLUMNS
        if 2 * group <= summed and group * columns <= chip.max_threads
    ]
    return [*thread_plans(chip), *groups]


def thread_plans(chip: Chip) -> list[KernelPlan]:
    """Return blocks of every length that the chip allows."""
    return [ThreadPlan(threads) for threads in THREADS if threads <= chip.max_threads]
