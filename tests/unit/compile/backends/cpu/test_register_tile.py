"""Register tiles: the choice fits the registers, and the code keeps accumulators there and prefetches its weights."""

import pytest
import tvm
from tvm import te

from ovenbird.backends.codegen_pipeline import codegen_pipeline
from ovenbird.backends.cpu.machine import Machine
from ovenbird.backends.cpu.schedules import schedule_function
from ovenbird.backends.cpu.schedules.tile_choice import Extents, Tile, choose_tile, fits
from ovenbird.operators.conv2d import Window, conv2d

AVX512 = Machine(vector_bytes=64, registers=32, l1_bytes=48 << 10, l2_bytes=1 << 20, cores=2)
AVX2 = Machine(vector_bytes=32, registers=16, l1_bytes=32 << 10, l2_bytes=1 << 19, cores=2)
NEON = Machine(vector_bytes=16, registers=32, l1_bytes=64 << 10, l2_bytes=1 << 20, cores=4)


@pytest.mark.parametrize("machine", [AVX512, AVX2, NEON])
@pytest.mark.parametrize("extents", [(4, 56, 56), (8, 28, 28), (32, 7, 7), (1, 1, 1), (5, 13, 37), (63, 1, 197)])
def test_the_tile_fits_and_divides_the_outputs(machine, extents):
    tile = choose_tile(Extents(*extents), machine)
    assert fits(tile, machine)
    assert extents[0] % tile.vectors == 0


def test_resnet_tiles_on_avx512():
    assert choose_tile(Extents(16, 14, 14), AVX512) == Tile(2, 1, 14)
    assert choose_tile(Extents(32, 7, 7), AVX512, streamed=True).positions >= 7


def test_sixteen_streamed_rows_on_avx2_read_less_than_they_multiply():
    tile = choose_tile(Extents(64, 1, 16), AVX2, streamed=True)
    assert tile.vectors + tile.positions < tile.vectors * tile.positions  # a tile of 1 x 8 sums on the stack


def compiled(channels: int) -> str:
    data = te.placeholder((1, channels // 16, 14, 14, 16), name="data")
    weight = te.placeholder((channels // 16, channels // 16, 3, 3, 16, 16), name="weight")
    function = te.create_prim_func([data, weight, conv2d(data, weight, Window((3, 3), (1, 1), (1, 1, 1, 1)))])
    module = tvm.IRModule({"main": schedule_function(function, AVX512)})
    target = tvm.target.Target({"kind": "llvm", "mcpu": "x86-64-v4", "mattr": ["-prefer-256-bit"]})
    library = tvm.tirx.build(module, target, pipeline=codegen_pipeline())
    return str(library.inspect_source("asm"))


def test_streamed_weights_are_prefetched_and_small_ones_are_not():
    assert "prefetcht0" in compiled(256)
    assert "prefetcht0" not in compiled(32)


def test_accumulators_stay_in_registers():
    """In the loop that multiplies, nothing is stored: a store there means accumulators in memory."""
    blocks: list[list[str]] = [[]]
    for line in compiled(256).splitlines():
        text = line.strip()
        if text.endswith(":"):
            blocks.append([])
        blocks[-1].append(text)
    busiest = max(blocks, key=lambda block: sum("vfmadd" in text for text in block))
    jump = next(index for index, text in enumerate(busiest) if text.startswith("j"))
    loop = busiest[: jump + 1]
    assert sum("vfmadd" in text and "zmm" in text for text in loop) >= 28
    assert not [text for text in loop if text.startswith("vmov") and text.endswith(")")]
