"""Products on tensor cores: float16 tiles in shared memory, 16 x 16 x 16 fragments in each warp, float32 sums.

The instructions are CUDA's `nvcuda::wmma`, which every chip from sm_70 on has. After TVM's `MatmulTensorization`
(`tvm.s_tir.dlight.gpu.matmul`), with tiles by shape and without its fixed padding.

Example: `schedule_tensor_core(sch, product, BlockTile(64, 64, 32, 128, 0.65))`.
"""

from __future__ import annotations

from tvm.s_tir import Schedule
from tvm.s_tir.dlight.gpu.matmul import auto_inline_producers
from tvm.s_tir.schedule import LoopRV, SBlockRV

from ovenbird.backends.cuda.chip import WARP
from ovenbird.backends.cuda.plans.tiling import BlockTile
from ovenbird.backends.cuda.schedules.intrinsics import wmma_group
from ovenbird.backends.cuda.schedules.simt import bind_blocks, inline_epilogue, lanes_of, padded_loops

SIDE = 16
"""The side of a fragment, along rows, columns and the summed axis alike."""

LANES = 8
"""float16 values in one load of 16 bytes; rows of a shared tile are moved apart by as many, against bank conflicts."""

STORE_LANES = 4
"""float32 values in one store of 16 bytes."""


def warp_grid(tile: BlockTile) -> tuple[int, int]:
    """Return the block's warps as (along rows, along columns), each with whole fragments."""
    warps = tile.threads // WARP
    down = min(tile.rows // SIDE, {1: 1, 2: 1, 4: 2, 8: 2}[warps])
    return down, warps // down


def schedule_tensor_core(sch: Schedule, product: SBlockRV, tile: BlockTile) -> None:
    """Schedule the product and what is fused around it."""
    down, across = warp_grid(tile)
    lanes = lanes_of(sch, product, LANES)
    batch, i, j, k = padded_loops(sch, product, tile)
    i, i_inner = sch.split(i, [None, SIDE])
    j, j_inner = sch.split(j, [None, SIDE])
    k, k_inner = sch.split(k, [None, SIDE])
    sch.reorder(i, j, k, i_inner, j_inner, k_inner)
    inner, outer = product, sch.blockize(i_inner)
    i0, iw, i1 = sch.split(i, [None, down, tile.rows // SIDE // down])
    j0, jw, j1 = sch.split(j, [None, across, tile.columns // SIDE // across])
    k0, k1 = sch.split(k, [None, tile.inner // SIDE])
    sch.reorder(i0, j0, iw, jw, k0, k1, i1, j1)
    bind_blocks(sch, batch, i0, j0)
    warp = sch.fuse(iw, jw)
    sch.bind(warp, "threadIdx.y")
    copies = [copy_tile(sch, outer, index, k0, tile, lanes[index]) for index in (0, 1)]
    for copy in copies:
        auto_inline_producers(sch, copy)
    fragments = [sch.cache_read(outer, index, f"wmma.matrix_{'ab'[index]}") for index in (0, 1)]
    for fragment in fragments:
        sch.compute_at(fragment, k1)
    to_global = sch.cache_write(outer, 0, "shared")
    sch.storage_align(to_global, 0, -2, SIDE, STORE_LANES)
    store = sch.cache_write(outer, 0, "wmma.accumulator")
    sch.reverse_compute_at(store, warp)
    sch.reverse_compute_at(to_global, warp)
    cut_fragments(sch, store)
    init = sch.get_child_blocks(sch.decompose_reduction(outer, k0))[0]
    tensorize(sch, fragments, store, init, inner)
    inline_epilogue(sch, to_global)
    fused = sch.fuse(*sch.get_loops(to_global)[-2:])
    _, lane, vector = sch.split(fused, [None, WARP, STORE_LANES])
    sch.bind(lane, "threadIdx.x")
    sch.vectorize(vector)


def copy_tile(sch: Schedule, product: SBlockRV, index: int, at: LoopRV, tile: BlockTile, run: int) -> SBlockRV:
    """Copy an operand's tile into shared memory at loop `at`, by all threads of the block."""
    copy = sch.cache_read(product, index, "shared")
    sch.compute_at(copy, at)
    fused = sch.fuse(*sch.get_loops(copy)[-2:])
    length = (tile.rows, tile.columns)[index] * tile.inner
    lanes = min(run, max(1, length // tile.threads))
    _, warps, lane, vector = sch.split(fused, [None, tile.threads // WARP, WARP, lanes])
    sch.bind(warps, "threadIdx.y")
    sch.bind(lane, "threadIdx.x")
    sch.vectorize(vector)
    sch.storage_align(copy, 0, axis=-2, factor=SIDE, offset=LANES)
    return copy


def cut_fragments(sch: Schedule, block: SBlockRV) -> LoopRV:
    """Cut a copy's last two loops into fragments; return the loop to tensorize."""
    i, j = sch.get_loops(block)[-2:]
    i0, i1 = sch.split(i, [None, SIDE])
    j0, j1 = sch.split(j, [None, SIDE])
    sch.reorder(i0, j0, i1, j1)
    return i1


def tensorize(sch: Schedule, fragments: list[SBlockRV], store: SBlockRV, init: SBlockRV, inner: SBlockRV) -> None:
    """Put the tensor core instructions in place of the loops over one fragment."""
    group = wmma_group()
    for fragment, name in zip(fragments, ("load_a", "load_b"), strict=True):
        i1 = cut_fragments(sch, fragment)
        for loop in sch.get_loops(fragment)[-4:-2]:
            sch.unroll(loop)
        sch.tensorize(i1, group[name])
    sch.tensorize(sch.get_loops(init)[-2], group["init"])
    sch.tensorize(sch.get_loops(store)[-2], group["store"])
    sch.tensorize(sch.get_loops(inner)[-3], group["compute"])
