"""Register tiles: the choice fits the registers, and the code keeps accumulators there and prefetches its weights."""

import dataclasses
from typing import Any

import pytest
import tvm
import tvm_ffi
from tvm import s_tir, te

from ovenbird.backends.codegen_pipeline import codegen_pipeline
from ovenbird.backends.cpu.machine import Machine
from ovenbird.backends.cpu.schedules import schedule_function
from ovenbird.backends.cpu.schedules.tile_choice import Extents, Tile, choose_tile, fits
from ovenbird.operators.conv2d import Window, conv2d, depthwise_conv2d
from ovenbird.passes.kernels.expressions import substitute

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


def convolution(blocks: int, side: int, machine: Machine = AVX512) -> tvm.tirx.PrimFunc:
    """Return a scheduled 3x3 convolution of as many channels on both sides."""
    data = te.placeholder((1, blocks, side, side, 16), name="data")
    weight = te.placeholder((blocks, blocks, 3, 3, 16, 16), name="weight")
    function = te.create_prim_func([data, weight, conv2d(data, weight, Window((3, 3), (1, 1), (1, 1, 1, 1)))])
    return schedule_function(function, machine)


def compiled(channels: int) -> str:
    module = tvm.IRModule({"main": convolution(channels // 16, 14)})
    target = tvm.target.Target({"kind": "llvm", "mcpu": "x86-64-v4", "mattr": ["-prefer-256-bit"]})
    library = tvm.tirx.build(module, target, pipeline=codegen_pipeline())
    return str(library.inspect_source("asm"))


def parts_of(function: tvm.tirx.PrimFunc) -> list[tuple[int, int]]:
    """Return the block of outputs and the row where each part of the last parallel loop begins, in their order.

    Cores get equal stretches of the parts.
    """
    loops: list[Any] = []
    blocks: list[Any] = []
    tvm_ffi.structural_walk(function.body, (tvm.tirx.For, loops.append))
    tvm_ffi.structural_walk(function.body, (s_tir.SBlockRealize, blocks.append))
    parallel = [loop for loop in loops if loop.kind == tvm.tirx.ForKind.PARALLEL][-1]
    writing = [one for one in blocks if any(region.source.same_as(function.params[-1]) for region in one.block.writes)]
    starts = {loop.loop_var: 0 for loop in loops}

    def place(axis: int, at: int) -> int:
        value = substitute(writing[-1].iter_values[axis], {**starts, parallel.loop_var: at})
        return int(tvm.sym.Analyzer().simplify(value))

    return [(place(1, at), place(2, at)) for at in range(int(parallel.extent))]


@pytest.mark.parametrize(("blocks", "side", "cores"), [(2, 56, 2), (4, 28, 8)])
def test_cores_divide_rows_where_the_data_outweigh_the_weights(blocks, side, cores):
    """What a core reads then, it wrote in the layer before: cores need not share a cache."""
    parts = parts_of(convolution(blocks, side, dataclasses.replace(AVX512, cores=cores)))
    rows = [row for _, row in parts]
    assert rows == sorted(rows)
    assert rows[0] < rows[-1]


@pytest.mark.parametrize(("blocks", "side"), [(16, 14), (32, 7)])
def test_cores_divide_outputs_where_the_weights_outweigh_the_data(blocks, side):
    parts = parts_of(convolution(blocks, side))
    outputs = [output for output, _ in parts]
    assert outputs == sorted(outputs)
    assert outputs[0] < outputs[-1]


def test_cores_divide_the_rows_of_a_depthwise_convolution():
    data, weight = te.placeholder((1, 9, 56, 56, 16)), te.placeholder((9, 3, 3, 16))
    window = Window((3, 3), (1, 1), (1, 1, 1, 1))
    function = te.create_prim_func([data, weight, depthwise_conv2d(data, weight, window)])
    rows = [row for _, row in parts_of(schedule_function(function, AVX512))]
    assert rows == sorted(rows)
    assert rows[0] < rows[-1]


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
