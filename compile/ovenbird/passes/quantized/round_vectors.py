"""Floats become bfloat16 by the processor's instruction, a vector at a time, in the place of whole-number arithmetic.

A scheduled function that carries `ROUNDS` leaves loops over the lanes of a block:

    for lane in 16:              # vectorized
        out[..., lane] = rounded_bits(value)         # `operators.bfloat16.numbers`: nine instructions of whole numbers

Here the values become a vector, and `vcvtneps2bf16` (AVX512_BF16) makes one of uint16 of it. It rounds alike, but takes
numbers below 2**-126 for 0.
"""

from __future__ import annotations

from typing import Any

import tvm
import tvm_ffi
from tvm import tirx
from tvm.s_tir import SBlock, SBlockRealize

from ovenbird.passes.kernels.expressions import substitute
from ovenbird.passes.quantized.bfloat16_dots import importing_text
from ovenbird.passes.quantized.store_levels import is_certain, ramp, with_buffers

ROUNDS = "ovenbird.rounds"
"""The attribute of a function for a processor with the instruction."""

NOT_A_NUMBER = 0x7FC0
"""What the arithmetic makes of what is no number: by this it is known."""

LANES = 16
FUNCTION = f"ovenbird_rounded_{LANES}"
TEXT = f"""
declare <{LANES} x bfloat> @llvm.x86.avx512bf16.cvtneps2bf16.512(<{LANES} x float>)

define weak_odr hidden <{LANES} x i16> @{FUNCTION}(<{LANES} x float> %values) alwaysinline {{
  %rounded = call <{LANES} x bfloat> @llvm.x86.avx512bf16.cvtneps2bf16.512(<{LANES} x float> %values)
  %bits = bitcast <{LANES} x bfloat> %rounded to <{LANES} x i16>
  ret <{LANES} x i16> %bits
}}
"""


@tirx.transform.prim_func_pass(opt_level=0, name="RoundVectors")  # type: ignore[untyped-decorator]
def round_vectors(function: tirx.PrimFunc, _module: Any, _context: Any) -> tirx.PrimFunc:
    """Return the scheduled function with vectors rounded by the instruction."""
    if function.attrs is None or ROUNDS not in function.attrs:
        return function
    buffers: list[Any] = []

    def visit(loop: tirx.For) -> Any:
        value = rounded_value(loop)
        if value is None:
            return loop
        buffer = tirx.decl_buffer((LANES,), "float32", "values", scope="local")
        buffers.append(buffer)
        return rounded(loop, value, buffer)

    changed = tvm_ffi.structural_map(function, (tirx.For, visit))
    return importing_text(with_buffers(changed, buffers), TEXT) if buffers else function


def rounded_value(loop: tirx.For) -> Any:
    """Return the float32 of which a loop stores the bits of bfloat16; None of any other loop."""
    if loop.kind != tirx.ForKind.VECTORIZED or int(loop.extent) != LANES or not isinstance(loop.body, SBlockRealize):
        return None
    store = loop.body.block.body
    if not is_certain(loop.body) or not isinstance(store, tirx.BufferStore):
        return None
    level = store.value
    chosen = level.value if isinstance(level, tirx.Cast) and str(level.ty.dtype) == "uint16" else None
    if not isinstance(chosen, tirx.Select) or getattr(chosen.false_value, "value", None) != NOT_A_NUMBER:
        return None
    return chosen.condition.a.a.args[0]  # of its magnitude, the bits without their sign


def rounded(loop: tirx.For, value: Any, buffer: Any) -> tirx.Stmt:
    """Return the statements of one loop: its values into `buffer` [lanes], their bits from there."""
    realize, block = loop.body, loop.body.block
    writes = tirx.BufferRegion(buffer, [tvm.ir.Range.from_min_extent(loop.loop_var, 1)])
    inner = SBlock(
        block.iter_vars,
        block.reads,
        [writes],
        block.name_hint,
        tirx.BufferStore(buffer, value, [loop.loop_var]),
        annotations=block.annotations,
    )
    again = SBlockRealize(realize.iter_values, realize.predicate, inner)
    values = tirx.For(loop.loop_var, loop.min, loop.extent, loop.kind, again)
    axes = {axis.var: place for axis, place in zip(block.iter_vars, realize.iter_values, strict=True)}
    first = [substitute(substitute(index, axes), {loop.loop_var: 0}) for index in block.body.indices]
    vector = tirx.BufferLoad(buffer, [ramp(tirx.const(0, "int32"), LANES)])
    bits = tirx.call_extern(f"uint16x{LANES}", FUNCTION, vector)
    return tirx.SeqStmt([values, tirx.BufferStore(block.body.buffer, bits, [*first[:-1], ramp(first[-1], LANES)])])
