"""Products of few rows (a classifier at batch 1): threads read one row of the weights together.

Example: `schedule_vectors(sch, product, VectorPlan(warps=4))` for [1, 2048] x [1000, 2048].
"""

from __future__ import annotations

from tvm.s_tir import Schedule
from tvm.s_tir.dlight.gpu.matmul import auto_inline_producers
from tvm.s_tir.schedule import SBlockRV

from ovenbird.backends.cuda.plans.plan import VectorPlan
from ovenbird.operators.writing.blocks import leaf_blocks


def schedule_vectors(sch: Schedule, product: SBlockRV, plan: VectorPlan) -> None:
    """Schedule the product and what is fused behind it."""
    auto_inline_producers(sch, product)
    blocks = leaf_blocks(sch)
    names = [sch.get(block).name_hint for block in blocks]
    behind = blocks[names.index(sch.get(product).name_hint) + 1 :]
    for block in behind[:-1]:
        sch.compute_inline(block)
    output = behind[-1]
    fused = sch.fuse(*sch.get_loops(output))
    outer, warps = sch.split(fused, [None, plan.warps])
    sch.bind(outer, "blockIdx.x")
    sch.bind(warps, "threadIdx.y")
    sch.compute_at(product, warps, preserve_unit_loops=True)
    sch.set_scope(product, 0, "local")
    k = sch.get_loops(product)[-1]
    _, lanes = sch.split(k, [None, plan.lanes])
    sch.bind(lanes, "threadIdx.x")
