"""Products by plain multiply-adds: shared tiles stored with the summed axis first, 4 x 4 pieces a thread.

Example: `schedule_simt(sch, product, BlockTile(64, 64, 16, 256, 0.75))`.
"""

from __future__ import annotations

import math

from tvm.s_tir import Schedule
from tvm.s_tir.dlight.gpu.matmul import auto_inline_producers
from tvm.s_tir.schedule import LoopRV, SBlockRV

from ovenbird.backends.cuda.plans.tiling import BlockTile
from ovenbird.operators.anchors import RUNS
from ovenbird.operators.writing.blocks import fuse_all, is_reduction, leaf_blocks

VECTOR = 4
"""float32 values in one load or store of 16 bytes."""


def thread_grid(tile: BlockTile) -> tuple[int, int]:
    """Return the block's threads as (along rows, along columns), each with whole pieces of 4 x 4."""
    columns = min(tile.columns // VECTOR, 16)
    return tile.threads // columns, columns


def schedule_simt(sch: Schedule, product: SBlockRV, tile: BlockTile) -> None:
    """Schedule the product and what is fused around it."""
    down, across = thread_grid(tile)
    widths = lanes_of(sch, product, VECTOR)
    batch, i, j, k = padded_loops(sch, product, tile)
    # A thread's rows and columns lie side by side: the block that writes them out covers whole ranges, and would
    # overwrite what other threads hold in between.
    i0, ty, i1 = sch.split(i, [None, down, tile.rows // down])
    j0, tx, j1 = sch.split(j, [None, across, tile.columns // across])
    k0, k1 = sch.split(k, [None, tile.inner])
    sch.reorder(batch, i0, j0, ty, tx, k0, k1, i1, j1)
    bind_blocks(sch, batch, i0, j0)
    sch.bind(ty, "threadIdx.y")
    sch.bind(tx, "threadIdx.x")
    sch.annotate(tx, "pragma_auto_unroll_max_step", 1024)
    sch.annotate(tx, "pragma_unroll_explicit", 0)
    store = sch.cache_write(product, 0, "local")
    sch.reverse_compute_at(store, tx, preserve_unit_loops=True)
    copies = [copy_tile(sch, product, index, k0, (down, across), widths[index]) for index in (0, 1)]
    for index in (0, 1):
        piece = sch.cache_read(product, index, "local")
        sch.compute_at(piece, k1, preserve_unit_loops=True)
        last = sch.get_loops(piece)[-1]
        _, lanes = sch.split(last, [None, VECTOR])
        sch.vectorize(lanes)
    for copy in copies:
        auto_inline_producers(sch, copy)
    sch.decompose_reduction(product, k0)
    inline_epilogue(sch, store)


def lanes_of(sch: Schedule, product: SBlockRV, most: int) -> tuple[int, int]:
    """Return how many elements of each operand may be read at once: a power of two that
    divides their runs in memory.
    """
    body = sch.get(product)
    part = int(body.iter_vars[-1].dom.extent)  # of a sum that is cut, each part begins at a multiple of its length
    first, second = (math.gcd(int(run), part, most) for run in body.annotations[RUNS])
    return first, second


def padded_loops(sch: Schedule, product: SBlockRV, tile: BlockTile) -> tuple[LoopRV, LoopRV, LoopRV, LoopRV]:
    """Return the loops over batch (and parts of the sum), rows, columns and the summed axis, padded to whole tiles."""
    outer = len(sch.get(product).iter_vars) - 3
    sch.pad_einsum(product, [1] * outer + [tile.rows, tile.columns, tile.inner])
    return loops_of(sch, product)


def loops_of(sch: Schedule, product: SBlockRV) -> tuple[LoopRV, LoopRV, LoopRV, LoopRV]:
    """Return the product's loops, those over batch and parts fused."""
    *batches, i, j, k = sch.get_loops(product)
    return (fuse_all(sch, batches), i, j, k)


def bind_blocks(sch: Schedule, batch: LoopRV, rows: LoopRV, columns: LoopRV) -> None:
    """Bind one block of threads to each tile. The x axis of a grid is the only long one, so it takes the rows."""
    sch.bind(batch, "blockIdx.z")
    sch.bind(columns, "blockIdx.y")
    sch.bind(rows, "blockIdx.x")


def copy_tile(
    sch: Schedule, product: SBlockRV, index: int, at: LoopRV, threads: tuple[int, int], lanes: int
) -> SBlockRV:
    """Copy an operand's tile into shared memory at loop `at`, stored [batch, k, row]: a thread then reads rows."""
    copy = sch.cache_read(product, index, "shared")
    sch.compute_at(copy, at, preserve_unit_loops=True)
    loops = sch.get_loops(copy)[-2:]
    fused = sch.fuse(*loops)
    _, ty, tx, vector = sch.split(fused, [None, *threads, lanes])
    sch.bind(ty, "threadIdx.y")
    sch.bind(tx, "threadIdx.x")
    sch.vectorize(vector)
    sch.transform_layout(copy, ("write", 0), lambda *at: (*at[:-2], at[-1], at[-2]))
    return copy


def inline_epilogue(sch: Schedule, store: SBlockRV) -> None:
    """Take what is computed from the product into the block that writes it out; a sum of its parts stays apart."""
    while consumers := [block for block in sch.get_consumers(store) if not is_reduction(sch, block)]:
        if len(consumers) > 1:  # read twice, as in x * sigmoid(x): joined first
            position = {sch.get(block).name_hint: index for index, block in enumerate(leaf_blocks(sch))}
            sch.compute_inline(min(consumers, key=lambda block: position[sch.get(block).name_hint]))
        else:
            sch.reverse_compute_inline(consumers[0])
