"""Winograd convolution: transforms in registers, the matrix products in register tiles.

Two structures. "chunked": a thread takes a row of tiles through all stages while it stays in its second-level cache;
good while the transformed weights fit there too. "staged": all threads transform the data; then each takes some blocks
of outputs through product and inverse, so that it reads its share of the weights once, in one stream. Each part of the
outputs reads all transformed data: where those do not stay in cache, a core's outputs are one part.
"""

from __future__ import annotations

from tvm.s_tir import Schedule
from tvm.s_tir.schedule import LoopRV, SBlockRV

from ovenbird.backends.cpu.machine import Machine
from ovenbird.backends.cpu.schedules.choices import Choices
from ovenbird.backends.cpu.schedules.register_tile import unroll_vectorized
from ovenbird.backends.cpu.schedules.tile_choice import Extents, choose_tile
from ovenbird.operators.anchors import Anchor, size_bytes
from ovenbird.operators.anchors import WinogradStages as Stage
from ovenbird.operators.writing.blocks import anchor_among, divisors, extent, leaf_blocks
from ovenbird.passes.kernels.insert_prefetches import PREFETCH, PREFETCH_STEPS

AXES = 5
"""Loops of each stage: two over the points of a tile, blocks of channels, tiles, lanes."""

CHUNKED, STAGED = "chunked", "staged"

CACHED_DATA = 4
"""Transformed data of up to so many second-level caches are read again for each few outputs.

By larger parts, on a Zen 3 of 512 KiB, one thread: 128 channels at 112x112 (14 MB) 40 % faster, 512 at 28x28 (3.6 MB)
10 to 40 %, 256 (1.8 MB) 8 % slower.
"""

MAX_PRODUCTS = 16
"""Products of a part, before they are transformed back, take at most so many second-level caches."""


def schedule_winograd(sch: Schedule, machine: Machine, choices: Choices) -> None:
    """Schedule a function whose anchor is annotated "winograd" and whose epilogue is elementwise."""
    found = leaf_blocks(sch)
    anchor = anchor_among(sch, found)
    assert anchor is not None
    element = size_bytes(anchor.operand)
    blocks = {str(sch.get(block).name_hint): block for block in found}
    names = list(blocks)
    after = names[names.index(Stage.SCATTER) :]
    for name in after[:-1]:
        sch.compute_inline(blocks[name])
    product = anchor.block
    points, _, out_blocks, tiles, lanes, in_blocks, depth = (extent(sch, loop) for loop in sch.get_loops(product))
    weight_bytes = element * points * points * out_blocks * in_blocks * depth * lanes
    structure = choices.structure("winograd", default_structure(weight_bytes, machine))
    vectors = choose_tile(Extents(out_blocks, 1, tiles), machine, structure == STAGED, anchor.arithmetic).vectors
    data_bytes = element * points * points * tiles * in_blocks * depth
    product_bytes = size_bytes(anchor.accumulator) * points * points * vectors * tiles * lanes
    groups = groups_of(out_blocks // vectors, data_bytes, product_bytes, machine) if structure == STAGED else 1
    part = schedule_output(sch, blocks[after[-1]], blocks, points - 2, vectors * groups, structure)
    schedule_product(sch, anchor, part, machine, choices, structure, groups > 1)
    schedule_transform(sch, blocks, part if structure == CHUNKED else None)


def default_structure(weight_bytes: int, machine: Machine) -> str:
    """ "chunked" if the transformed weights leave room in the second-level cache for a row of tiles."""
    return CHUNKED if weight_bytes <= machine.l2_bytes * 3 // 4 else STAGED


def groups_of(out_tiles: int, data_bytes: int, product_bytes: int, machine: Machine) -> int:
    """Return how many tiles of outputs, each with `product_bytes` of products, are one part.

    All those of a core where the transformed data are not in its cache, as far as the products are of bounded size.
    """
    if data_bytes <= CACHED_DATA * machine.l2_bytes or out_tiles % machine.cores:
        return 1
    most = min(out_tiles // machine.cores, MAX_PRODUCTS * machine.l2_bytes // product_bytes)
    return max((groups for groups in divisors(out_tiles // machine.cores, most)), default=1)


def schedule_output(
    sch: Schedule, output: SBlockRV, blocks: dict[str, SBlockRV], tile: int, vectors: int, structure: str
) -> LoopRV:
    """Schedule the inverse transform and the epilogue, a tile of `tile` x `tile` outputs at a time.

    Return the parallel loop under which the product belongs.
    """
    batch, channels, height, width, lane = sch.get_loops(output)
    rows, row = sch.split(height, [None, tile])
    columns, column = sch.split(width, [None, tile])
    if structure == CHUNKED:
        sch.reorder(batch, rows, channels, columns, row, column, lane)
        part = sch.fuse(batch, rows)
    else:
        part, channels = sch.split(channels, [None, vectors])
        sch.reorder(part, batch, rows, channels, columns, row, column, lane)
    sch.parallel(part)
    for name in (Stage.INVERSE, Stage.COLUMNS):
        compute_in_registers(sch, blocks[name], columns)
    unroll_vectorized(sch, row, column, lane)
    return part


def schedule_product(
    sch: Schedule, anchor: Anchor, part: LoopRV, machine: Machine, choices: Choices, structure: str, by_point: bool
) -> None:
    """Schedule the matrix products, one for each point of a tile; `by_point`: all outputs at one, then the next."""
    product, streamed = anchor.block, structure == STAGED
    copy = sch.cache_write(product, 0, "local")
    sch.compute_at(copy, part, preserve_unit_loops=True)
    x, y, channels, tiles, lane = sch.get_loops(copy)[-AXES:]
    tile = choose_tile(Extents(extent(sch, channels), 1, extent(sch, tiles)), machine, streamed, anchor.arithmetic)
    channel_factors = choices.tiles(sch, channels, [tile.vectors], innermost=8)
    tile_factors = choices.tiles(sch, tiles, [tile.columns], innermost=machine.registers - 3)
    channel_outer, vectors = sch.split(channels, channel_factors)
    tile_outer, positions = sch.split(tiles, tile_factors)
    outer = (x, y, channel_outer) if by_point else (channel_outer, x, y)
    sch.reorder(*outer, tile_outer, positions, vectors, lane)
    sch.compute_at(product, tile_outer, preserve_unit_loops=True)
    x, y, vector, position, inner_lane, in_block, depth = sch.get_loops(product)[-AXES - 2 :]
    sch.reorder(in_block, depth, x, y, position, vector, inner_lane)
    unroll_vectorized(sch, x, y, position, vector, inner_lane)
    if streamed:
        sch.annotate(depth, PREFETCH, 2 * PREFETCH_STEPS)
    init = sch.decompose_reduction(product, in_block)
    unroll_vectorized(sch, *sch.get_loops(init)[-AXES:])
    unroll_vectorized(sch, positions, vectors, lane)


def schedule_transform(sch: Schedule, blocks: dict[str, SBlockRV], part: LoopRV | None) -> None:
    """Schedule the data transform, a tile of all points at a time; in its own parallel loop where `part` is None."""
    transform = blocks[Stage.TRANSFORM]
    if part is not None:
        sch.compute_at(transform, part, preserve_unit_loops=True)
    x, y, channels, tiles, lane = sch.get_loops(transform)[-AXES:]
    sch.reorder(channels, tiles, x, y, lane)
    if part is None:
        tiles = sch.fuse(channels, tiles)
        sch.parallel(tiles)
    for name in (Stage.ROWS, Stage.GATHER):
        compute_in_registers(sch, blocks[name], tiles)
    unroll_vectorized(sch, x, y, lane)


def compute_in_registers(sch: Schedule, block: SBlockRV, loop: LoopRV) -> None:
    """Compute a small stage at `loop`, unrolled, its result in registers."""
    sch.compute_at(block, loop, preserve_unit_loops=True)
    sch.set_scope(block, 0, "local")
    unroll_vectorized(sch, *sch.get_loops(block)[-AXES:])
