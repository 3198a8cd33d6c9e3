"""Levels of neighbouring positions are rounded, packed and stored as one vector, by instructions that saturate.

A schedule leaves a loop over positions, and in it one over the lanes of a block of channels, that gives levels:

    for position in 8:           # annotated `STORED: [vector lanes, low, high, zero, small]`
        for lane in 8:
            out[..., position, lane] = tirx.Cast("uint8", tirx.round(min(max(value, low), high)) + zero)

LLVM would make bytes of each vector of eight by itself, in five instructions. Here four vectors are converted to whole
numbers, as the processor rounds (to nearest, halves to even), packed to 16 bits, moved by the zero and packed to uint8
(`packssdw`, `paddsw`, `packuswb`), each of which saturates: that holds a value in the range of all levels. A lower
bound is only taken where it is above the least level, an upper one where it is below the highest or a value may be
beyond int32: that would become the least number. The bits are those of `operators.quantized.rounding.nearest_level`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tvm
import tvm_ffi
from tvm import tirx
from tvm.s_tir import SBlock, SBlockRealize

from ovenbird.passes.kernels.annotations import STORED
from ovenbird.passes.kernels.expressions import substitute

ROUND = {16: "llvm.x86.avx512.mask.cvtps2dq.512", 8: "llvm.x86.avx.cvt.ps2dq.256", 4: "llvm.x86.sse2.cvtps2dq"}
TO_WORDS = {16: "llvm.x86.avx512.packssdw.512", 8: "llvm.x86.avx2.packssdw", 4: "llvm.x86.sse2.packssdw.128"}
ADD_WORDS = {16: "llvm.sadd.sat.v32i16", 8: "llvm.sadd.sat.v16i16", 4: "llvm.sadd.sat.v8i16"}
TO_BYTES = {16: "llvm.x86.avx512.packuswb.512", 8: "llvm.x86.avx2.packuswb", 4: "llvm.x86.sse2.packuswb.128"}
"""LLVM's intrinsics, by the 32-bit lanes of a vector."""

LEVELS = 255
"""The highest level."""

VECTORS = 4
"""Of 32 bits, for one of bytes."""

PART_LANES = 4
"""Of 32 bits, in the part of a wider vector that packing packs by itself."""


class LevelLimits(NamedTuple):
    """What levels are held in, counted from `zero`; `small`: no value is beyond int32 before."""

    low: int
    high: int
    zero: int
    small: bool


@tirx.transform.prim_func_pass(opt_level=0, name="StoreLevels")  # type: ignore[untyped-decorator]
def store_levels(function: tirx.PrimFunc, _module: Any, _context: Any) -> tirx.PrimFunc:
    """Return the scheduled function with the levels of each annotated loop stored as vectors."""
    kept: list[Any] = []

    def visit(loop: tirx.For) -> Any:
        if STORED not in loop.annotations or not is_certain(loop.body.body):
            return loop
        width, low, high, zero, small = (int(number) for number in loop.annotations[STORED])
        buffer = tirx.decl_buffer((int(loop.extent), int(loop.body.extent)), "float32", "values", scope="local")
        kept.append(buffer)
        return stored(loop, buffer, width, LevelLimits(low, high, zero, bool(small)))

    changed = tvm_ffi.structural_map(function, (tirx.For, visit))
    return with_buffers(changed, kept) if kept else function


def is_certain(realize: SBlockRealize) -> bool:
    """Return whether a block is done wherever its loops come: tiles may run over the end of the image."""
    return isinstance(realize.predicate, tirx.IntImm) and bool(realize.predicate.value)


def stored(loop: tirx.For, buffer: Any, width: int, limits: LevelLimits) -> tirx.Stmt:
    """Return the statements of one loop: its values into `buffer` [positions, lanes], levels from there."""
    lanes, realize = loop.body, loop.body.body
    block, store = realize.block, realize.block.body
    at = [loop.loop_var, lanes.loop_var]
    value = held(value_of(store.value), limits)
    writes = tirx.BufferRegion(buffer, [tvm.ir.Range.from_min_extent(place, 1) for place in at])
    inner = SBlock(
        block.iter_vars,
        block.reads,
        [writes],
        block.name_hint,
        tirx.BufferStore(buffer, value, at),
        annotations=block.annotations,
    )
    again = SBlockRealize(realize.iter_values, realize.predicate, inner)
    values = tirx.For(lanes.loop_var, lanes.min, lanes.extent, lanes.kind, again)
    axes = {axis.var: value for axis, value in zip(block.iter_vars, realize.iter_values, strict=True)}
    places = [substitute(index, axes) for index in store.indices]
    size = int(lanes.extent)
    statements: list[tirx.Stmt] = [tirx.For(loop.loop_var, loop.min, loop.extent, loop.kind, values)]
    for start in starts(int(loop.extent), VECTORS * width // size):
        parts = [vector(buffer, start * size + part * width, width) for part in range(VECTORS)]
        first = [substitute(place, {loop.loop_var: start, lanes.loop_var: 0}) for place in places]
        first[-1] = ramp(first[-1], VECTORS * width)
        statements.append(tirx.BufferStore(store.buffer, levels(parts, width, limits.zero), first))
    return tirx.SeqStmt(statements)


def starts(positions: int, count: int) -> list[int]:
    """Return where vectors of `count` positions begin; the last may store again what the one before it did."""
    found = [*range(0, positions - count + 1, count)]
    return found if found[-1] + count == positions else [*found, positions - count]


def value_of(level: Any) -> Any:
    """Return the float32 of which `nearest_level` made a level: cast, moved, seen as bits, rounded, held in a range."""
    moved = level.value.a
    return moved.args[0].a.a.a


def held(value: Any, limits: LevelLimits) -> Any:
    """Return the value, held where saturation does not hold it."""
    if limits.low != -limits.zero:
        value = tirx.max(value, tirx.const(float(limits.low), "float32"))
    if limits.high == LEVELS - limits.zero and limits.small:
        return value
    return tirx.min(value, tirx.const(float(limits.high), "float32"))


def levels(parts: list[Any], width: int, zero: int) -> Any:
    """Return four vectors of float32 as one of uint8."""
    call = tirx.call_llvm_pure_intrin
    whole = [rounded(part, width) for part in parts]
    words = [call(f"int16x{2 * width}", TO_WORDS[width], *whole[half : half + 2]) for half in (0, 2)]
    if zero:
        moved = tirx.Broadcast(tirx.const(zero, "int16"), 2 * width)
        words = [call(f"int16x{2 * width}", ADD_WORDS[width], word, moved) for word in words]
    packed = call(f"int8x{VECTORS * width}", TO_BYTES[width], *words)
    order = [first + VECTORS * part for first in range(VECTORS) for part in range(width // PART_LANES)]
    ordered = tirx.Shuffle([tirx.reinterpret(f"int32x{width}", packed)], order)
    return tirx.reinterpret(f"uint8x{VECTORS * width}", ordered)


def rounded(values: Any, width: int) -> Any:
    """Return a vector of float32 as int32, to nearest, halves to even."""
    unmasked = []
    if width == 16:
        nothing, all_, in_force = tirx.const(0, "int32"), tirx.const(-1, "int16"), tirx.const(4, "int32")
        unmasked = [tirx.Broadcast(nothing, width), all_, in_force]
    return tirx.call_llvm_pure_intrin(f"int32x{width}", ROUND[width], values, *unmasked)


def vector(buffer: Any, first: int, width: int) -> Any:
    """Return `width` neighbours of a buffer [positions, lanes]."""
    size = int(buffer.shape[1])
    return tirx.BufferLoad(buffer, [first // size, ramp(tirx.const(first % size, "int32"), width)])


def ramp(first: Any, count: int) -> Any:
    """Return the indices of neighbours."""
    return tirx.Ramp(first, tirx.const(1, first.ty.dtype), count)


def with_buffers(function: tirx.PrimFunc, buffers: list[Any]) -> tirx.PrimFunc:
    """Return the function with buffers more."""
    realize, root = function.body, function.body.block
    block = SBlock(
        root.iter_vars,
        root.reads,
        root.writes,
        root.name_hint,
        root.body,
        root.init,
        [*root.alloc_buffers, *buffers],
        root.match_buffers,
        root.annotations,
    )
    return function.with_body(SBlockRealize(realize.iter_values, realize.predicate, block))
