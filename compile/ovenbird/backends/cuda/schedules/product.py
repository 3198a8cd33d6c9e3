"""Matrix products on a GPU: tiles in shared memory, outputs in registers, the epilogue fused behind them.

A block of threads walks along the summed axis; each step it copies a tile of both operands into shared memory
(reading a convolution's image through its window, `operators.channels_last.patches`) and multiplies them. With float16
operands warps multiply on tensor cores (`tensor_core`), otherwise threads do (`simt`).

Example: `schedule_product(sch, chip)` for a fused convolution, bias and ReLU.
"""

from __future__ import annotations

from tvm.s_tir import Schedule
from tvm.s_tir.schedule import SBlockRV

from ovenbird.backends.cuda.plans.inspection import product_anchor
from ovenbird.backends.cuda.plans.plan import VectorPlan
from ovenbird.backends.cuda.plans.tiling import Tiling
from ovenbird.backends.cuda.schedules.simt import schedule_simt
from ovenbird.backends.cuda.schedules.tensor_core import schedule_tensor_core
from ovenbird.backends.cuda.schedules.threads import bind_threads
from ovenbird.backends.cuda.schedules.vectors import schedule_vectors
from ovenbird.operators.writing.blocks import is_reduction, leaf_blocks


def schedule_product(sch: Schedule, plan: Tiling | VectorPlan) -> None:
    """Schedule a product and all that is fused with it; its parts are joined by a kernel of their own."""
    anchor = product_anchor(sch)
    product = anchor.block
    if isinstance(plan, VectorPlan):
        schedule_vectors(sch, product, plan)
        return
    rule = schedule_tensor_core if anchor.operand == "float16" else schedule_simt
    parts = product
    if plan.splits > 1:
        parts = cut_sum(sch, product, plan.splits)
        blocks = leaf_blocks(sch)
        names = [sch.get(block).name_hint for block in blocks]
        behind = blocks[names.index(sch.get(product).name_hint) :]
        for block in behind[:-1]:
            if not is_reduction(sch, block):
                sch.compute_inline(block)
        schedule_joining(sch, product, behind[-1])
    rule(sch, parts, plan.tile)


def cut_sum(sch: Schedule, product: SBlockRV, splits: int) -> SBlockRV:
    """Cut the summed axis into parts that are summed apart, at the same time; return the block that sums them.

    A GPU has more multiprocessors than a product of few rows and columns has tiles. `product` then joins the parts.
    """
    part, _ = sch.split(sch.get_loops(product)[-1], [splits, None])
    parts = sch.rfactor(part, 0)
    # Each operand by the block's own axes: `pad_einsum` takes nothing else.
    for index in (0, 1):
        sch.reindex(parts, ("read", index))
    *outer, part, _ = sch.get_loops(parts)
    sch.reorder(part, *outer)
    return parts


def schedule_joining(sch: Schedule, joined: SBlockRV, output: SBlockRV) -> None:
    """Let one thread an output sum the parts and do the epilogue."""
    if sch.get(joined).name_hint == sch.get(output).name_hint:
        bind_threads(sch, output)
        return
    inner = bind_threads(sch, output)
    sch.compute_at(joined, inner, preserve_unit_loops=True)
    sch.set_scope(joined, 0, "local")
