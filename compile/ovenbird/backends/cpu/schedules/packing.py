"""Copies the data of a group of register tiles to one piece of memory, where they lie in too many pages, or collide.

A tile of a 1x1 convolution reads a few neighbouring positions of every block of channels. On a large map each block
lies in a page of its own: more than the first translation buffer holds, read again for every few outputs. On a map of
64x64 or 32x32 pixels the blocks have the same few places in a cache. Packing as in Goto & van de Geijn, "Anatomy of
High-Performance Matrix Multiplication", TOMS 2008.

Measured on a Zen 3 (AVX2), one thread, next to other work: 1024 and 256 channels at 50x50 1.2 times as fast, 2048 and
512 at 65x65 1.3 and 1.7 times (two runs); at 14x14 the same as before. EfficientNet-B0's narrowing convolutions on maps
of 512x512 (two runs, in place of their time): 96 and 144 channels at 128x128 0.84 and 0.96, 240 at 64x64 0.74, 480 at
32x32 0.85, 1152 at 16x16 0.60 to 0.69; 672 at 32x32 as before.
"""

from __future__ import annotations

import math

from tvm.s_tir import Schedule
from tvm.s_tir.schedule import LoopRV, SBlockRV

from ovenbird.backends.cpu.machine import Machine
from ovenbird.backends.cpu.schedules.tile_choice import Tile
from ovenbird.operators.anchors import FLOAT32, Anchor, size_bytes
from ovenbird.operators.writing.blocks import extent

IMAGE_AXES = 5
"""[N, C/b, H, W, b]"""
FLAT_AXES = 4
"""Of outputs whose rows and columns are one axis."""
LEAST_BLOCKS = 64
"""Blocks of channels, each in a page of its own: what first translation buffers hold, of Zen's and Skylake's on."""
LEAST_POSITIONS = 1024
WAYS = 8
"""Lines of one place that the second-level cache holds: of Zen's, fewer than of Intel's servers."""
GROUP = 4
"""Tiles that are packed together: runs of memory that are long enough to be fetched ahead."""
PACKED_SHARE = 3
"""Packed data take at most this share of the second-level cache."""


def tiles_to_pack(sch: Schedule, anchor: Anchor, tile: Tile, machine: Machine) -> int:
    """Return how many tiles of positions are packed together; 0 where the data are read in place."""
    loops = sch.get_loops(anchor.block)
    data = sch.get(anchor.block).reads[0].source
    if anchor.arithmetic != FLOAT32 or len(loops) != FLAT_AXES + 2 or len(data.shape) != IMAGE_AXES:
        return 0
    positions, blocks, lanes = extent(sch, loops[2]), extent(sch, loops[4]), extent(sch, loops[5])
    spread = blocks >= LEAST_BLOCKS and positions >= LEAST_POSITIONS
    if int(data.shape[1]) != blocks or not (spread or collides(positions * lanes, blocks, machine)):
        return 0
    tile_bytes = blocks * lanes * tile.columns * size_bytes(anchor.operand)
    return min(GROUP, machine.l2_bytes // PACKED_SHARE // tile_bytes)


def collides(stride: int, blocks: int, machine: Machine) -> bool:
    """Return whether lines that lie `stride` floats apart, one a block, are more than their places in the second-level
    cache: on a map of 64x64 pixels all blocks have the same few.
    """
    way = machine.l2_bytes // WAYS
    return blocks > machine.l2_bytes // math.gcd(stride * size_bytes("float32"), way)


def packed_data(sch: Schedule, anchor: SBlockRV) -> SBlockRV:
    """Have the anchor read its data from a copy, [N, C/b, positions, b]; return the block that makes it."""
    packed = sch.reindex(anchor, ("read", 0))
    sch.transform_layout(packed, ("write", 0), lambda n, p, c, v: (n, c, p, v))
    return packed


def pack_at(sch: Schedule, packed: SBlockRV, part: LoopRV) -> None:
    """Copy what the loop `part` needs at its start, by vectors."""
    sch.compute_at(packed, part, preserve_unit_loops=True)
    position, channels, lane = sch.get_loops(packed)[-3:]
    sch.reorder(channels, position, lane)
    sch.vectorize(lane)
