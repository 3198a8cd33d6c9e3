"""Sums of products of 8-bit numbers become the instructions that add up four of them at once, in exact int32; those of
bfloat16 the ones that add up two, in float32 (`bfloat16_dots`).

A schedule leaves one loop over the lanes of a vector, and in it one over the four products of a step:

    for lane in 16:              # annotated `DOT: kind`
        for tap in 4:
            sums[o, lane] += data[step * 4 + tap] * weight[step, lane * 4 + tap]          # in int32

Data is uint8, weights int8. Run on the scheduled function, this pass writes the vector in the place of the loops:

    vnni    vpdpbusd: four products of each lane and the sum, in 32 bits
    narrow  `pmaddubsw` adds two products in 16 bits, where it saturates: only for weights of which that is known not to
            happen (`anchors.NARROW`); `pmaddwd` by ones adds two of those in 32 bits
    pairs   the data's even and odd bytes as 16-bit numbers, likewise the weights', then `pmaddwd` twice: two products
            are added in 32 bits
    usdot   one instruction (Arm's i8mm) as well
    sdot    the same of signed numbers (Arm's dotprod): 128 is taken from the data, and the caller makes up for it
    words   `pmaddwd` of data and weights that lie as pairs of 16-bit numbers in int32: no loop over products, one
            element of each is a step (`operators.quantized.depthwise`)
    plain   four products written out; LLVM makes vectors of them
"""

from __future__ import annotations

import math
from typing import Any

import tvm
import tvm_ffi
from tvm import tirx
from tvm.s_tir import SBlock, SBlockRealize

from ovenbird.passes.kernels.annotations import DOT, VECTOR_LANES
from ovenbird.passes.kernels.expressions import substitute, uses
from ovenbird.passes.quantized.bfloat16_dots import BFLOAT16, PAIR, imported, two_products

VNNI = {16: "llvm.x86.avx512.vpdpbusd.512", 8: "llvm.x86.avx512.vpdpbusd.256", 4: "llvm.x86.avx512.vpdpbusd.128"}
PAIRS = {16: "llvm.x86.avx512.pmaddw.d.512", 8: "llvm.x86.avx2.pmadd.wd", 4: "llvm.x86.sse2.pmadd.wd"}
NARROW = {16: "llvm.x86.avx512.pmaddubs.w.512", 8: "llvm.x86.avx2.pmadd.ub.sw", 4: "llvm.x86.ssse3.pmadd.ub.sw.128"}
"""LLVM's intrinsics, by the 32-bit lanes of a vector."""

NEON = {"sdot": "llvm.aarch64.neon.sdot", "usdot": "llvm.aarch64.neon.usdot"}
"""The same, of 4 lanes, by kind."""

TAPS = 4


@tirx.transform.prim_func_pass(opt_level=0, name="EmitDots")  # type: ignore[untyped-decorator]
def emit_dots(function: tirx.PrimFunc, _module: Any, _context: Any) -> tirx.PrimFunc:
    """Return the scheduled function with vectors in the place of its annotated loops."""

    kinds: set[str] = set()

    def visit(loop: tirx.For) -> Any:
        if DOT not in loop.annotations:
            return loop
        kinds.add(str(loop.annotations[DOT]))
        return vectors(loop)

    return imported(tvm_ffi.structural_map(function, (tirx.For, visit)), kinds)


def vectors(loop: tirx.For) -> tirx.Stmt:
    """Return the statements of one annotated loop: a block for each vector."""
    kind, lanes = str(loop.annotations[DOT]), int(loop.extent)
    width = min(int(loop.annotations[VECTOR_LANES]), lanes)
    loops = [loop] if kind == "words" else [loop, loop.body]
    realize = loops[-1].body
    block = realize.block
    axes = list(zip(block.iter_vars, realize.iter_values, strict=True))
    gone = [next(axis.var for axis, value in axes if value.same_as(one.loop_var)) for one in loops]
    kept = [(axis, value) for axis, value in axes if not any(axis.var.same_as(var) for var in gone)]
    extents = {var: int(one.extent) for var, one in zip(gone, loops, strict=True)}
    regions = [[widened(region, extents) for region in group] for group in (block.reads, block.writes)]
    starts = range(0, lanes, width)
    if kind == "words":
        bodies = [words(block.body, gone[0], start, width) for start in starts]
    else:
        lane, tap = gone
        bodies = [vector(block.body, lane, tap, start, width, kind) for start in starts]
    body = bodies[0] if len(bodies) == 1 else tirx.SeqStmt(bodies)
    inner = SBlock([axis for axis, _ in kept], *regions, block.name_hint, body)
    return SBlockRealize([value for _, value in kept], realize.predicate, inner)


def widened(region: Any, extents: dict[Any, int]) -> Any:
    """Return what all lanes and taps read or write of a buffer, of which `region` is one's."""
    ranges = []
    for part in region.region:
        extent = math.prod(count for var, count in extents.items() if uses(part.min, var))
        start = substitute(part.min, dict.fromkeys(extents, 0))
        if extent > 1:
            part = tvm.ir.Range.from_min_extent(start, tirx.const(extent, start.ty.dtype))
        ranges.append(part)
    return tirx.BufferRegion(region.source, ranges)


def vector(store: Any, lane: Any, tap: Any, start: int, width: int, kind: str) -> tirx.Stmt:
    """Return the statement of the lanes from `start` on."""
    weight, data = operands(store, lane)
    taps = PAIR if kind in BFLOAT16 else TAPS

    first = {lane: 0, tap: 0}
    sums = ramp(store.indices, first, start, width)
    total = tirx.BufferLoad(store.buffer, sums)
    levels = tirx.BufferLoad(data.source, ramp(data.indices, first, 0, taps))
    weights = tirx.BufferLoad(weight.source, ramp(weight.indices, first, start * taps, width * taps))
    if kind in BFLOAT16:
        return tirx.BufferStore(store.buffer, two_products(kind, width, total, levels, weights), sums)
    four = tirx.Broadcast(tirx.reinterpret("int32", levels), width)
    if kind == "vnni":
        value = intrinsic(VNNI[width], width, total, tirx.reinterpret(f"int8x{width * TAPS}", four), weights)
    elif kind in NEON:
        signs = tirx.Broadcast(tirx.const(-0x7F7F7F80, "int32"), width)  # the upper bit of each byte
        bytes_ = tirx.reinterpret(f"int8x{width * TAPS}", tirx.bitwise_xor(four, signs) if kind == "sdot" else four)
        value = intrinsic(NEON[kind], width, total, bytes_, weights)
    elif kind == "narrow":
        value = narrow(total, four, weights, width)
    elif kind == "pairs":
        value = pairs(total, four, weights, width)
    else:
        value = plain(total, levels, weights, width)
    return tirx.BufferStore(store.buffer, value, sums)


def operands(store: Any, lane: Any) -> tuple[Any, Any]:
    """Return the loads of the weight, the first that differs from lane to lane, and of the data."""
    loads: list[Any] = []
    tvm_ffi.structural_walk(store.value, (tvm.ir.TensorLoad, loads.append))
    read = [load for load in loads if not load.source.same_as(store.buffer)]
    weight = next(load for load in read if uses(load.indices[-1], lane))
    return weight, next(load for load in read if not load.source.same_as(weight.source))


def words(store: Any, lane: Any, start: int, width: int) -> tirx.Stmt:
    """Return the statement of the lanes from `start` on, of pairs of 16-bit numbers on both sides."""

    def vector_of(load: Any) -> Any:
        return tirx.BufferLoad(load.source, ramp(load.indices, {lane: 0}, start, width))

    sums = ramp(store.indices, {lane: 0}, start, width)
    pairs_ = [tirx.reinterpret(f"int16x{2 * width}", vector_of(load)) for load in operands(store, lane)]
    total = tirx.BufferLoad(store.buffer, sums) + intrinsic(PAIRS[width], width, *pairs_)
    return tirx.BufferStore(store.buffer, total, sums)


def ramp(indices: Any, values: dict[Any, int], first: int, count: int) -> list[Any]:
    """Return the indices of `count` neighbours from the `first` on, with variables replaced."""
    places = [substitute(index, values) for index in indices]
    last = places[-1] + tirx.const(first, places[-1].ty.dtype)
    return [*places[:-1], tirx.Ramp(last, tirx.const(1, last.ty.dtype), count)]


def narrow(total: Any, four: Any, weights: Any, width: int) -> Any:
    """Return the sum by `pmaddubsw`: two products in 16 bits, then two of those in 32."""
    bytes_ = tirx.reinterpret(f"int8x{width * TAPS}", four)
    two = tirx.call_llvm_pure_intrin(f"int16x{2 * width}", NARROW[width], bytes_, weights)
    return total + intrinsic(PAIRS[width], width, two, tirx.Broadcast(tirx.const(1, "int16"), 2 * width))


def pairs(total: Any, four: Any, weights: Any, width: int) -> Any:
    """Return the sum by `pmaddwd`: of the even bytes, then of the odd ones. No product or sum leaves its bits."""
    words = f"int16x{2 * width}"
    byte = tirx.Broadcast(tirx.const(8, "int16"), 2 * width)
    low = tirx.Broadcast(tirx.const(0x00FF00FF, "int32"), width)
    data = [
        tirx.reinterpret(words, tirx.bitwise_and(part, low))
        for part in (four, tirx.shift_right(four, tirx.Broadcast(tirx.const(8, "int32"), width)))
    ]
    both = tirx.reinterpret(words, weights)
    signed = [tirx.shift_right(tirx.shift_left(both, byte), byte), tirx.shift_right(both, byte)]
    for levels, weight in zip(data, signed, strict=True):
        total = total + intrinsic(PAIRS[width], width, levels, weight)
    return total


def plain(total: Any, levels: Any, weights: Any, width: int) -> Any:
    """Return the sum of products written out."""
    for tap in range(TAPS):
        level = tirx.Broadcast(tirx.Cast("int32", tirx.Shuffle([levels], [tap])), width)
        weight = tirx.Shuffle([weights], [place * TAPS + tap for place in range(width)])
        total = total + level * tirx.Cast(f"int32x{width}", weight)
    return total


def intrinsic(name: str, width: int, *arguments: Any) -> Any:
    """Return the call of one of LLVM's intrinsics that gives `width` sums."""
    return tirx.call_llvm_pure_intrin(f"int32x{width}", name, *arguments)
