"""Two products of bfloat16 added to each lane of a vector of float32, by the instruction that the processor has.

    bf16        vdpbf16ps (AVX512_BF16): 16 lanes
    bfdot       Arm's bfdot: 4 lanes
    bf16-plain  both numbers widened, two multiply-adds in float32: what the instructions are compared with

TVM's own bfloat16 is made float32 before code is generated, so a vector is uint16 to TVM, and the instruction stands in
a function of LLVM's own text, which is inlined. The instructions round as they please inside a step (to nearest even,
numbers below 2**-126 as 0): results differ in the last bits of float32 from one processor to another.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from tvm import tirx
from tvm.ir import StringImm
from tvm.s_tir import SBlockRealize

BFLOAT16 = frozenset({"bf16", "bfdot", "bf16-plain"})
PAIR = 2
"""Products of one step."""


class Instruction(NamedTuple):
    """LLVM's intrinsic, and the lanes of its vector."""

    intrinsic: str
    lanes: int

    @property
    def function(self) -> str:
        """The name of the function around it."""
        return f"ovenbird_two_products_{self.lanes}"

    @property
    def text(self) -> str:
        """The function, which takes whole numbers: a definition that is the same in every kernel, so one is kept."""
        floats, pairs, words = f"<{self.lanes} x float>", f"<{2 * self.lanes} x bfloat>", f"<{self.lanes} x i32>"
        return f"""
declare {floats} @{self.intrinsic}({floats}, {pairs}, {pairs})

define weak_odr hidden {floats} @{self.function}({floats} %sum, {words} %data, {words} %weights) alwaysinline {{
  %left = bitcast {words} %data to {pairs}
  %right = bitcast {words} %weights to {pairs}
  %result = call {floats} @{self.intrinsic}({floats} %sum, {pairs} %left, {pairs} %right)
  ret {floats} %result
}}
"""


INSTRUCTIONS = {
    "bf16": Instruction("llvm.x86.avx512bf16.dpbf16ps.512", 16),
    "bfdot": Instruction("llvm.aarch64.neon.bfdot.v4f32.v8bf16", 4),
}


def two_products(kind: str, width: int, total: Any, data: Any, weights: Any) -> Any:
    """Return the sums [width] with two products added: `data` uint16 [2], `weights` uint16 [2 * width]."""
    if kind == "bf16-plain":
        for tap in range(PAIR):
            one = widened(tirx.Broadcast(tirx.Shuffle([data], [tap]), width), width)
            other = widened(tirx.Shuffle([weights], [at * PAIR + tap for at in range(width)]), width)
            total = total + one * other
        return total
    found = INSTRUCTIONS[kind]
    assert width == found.lanes, f"{width} lanes of float32, {found.intrinsic} has {found.lanes}"
    both = tirx.Broadcast(tirx.reinterpret("int32", data), width)
    words = tirx.reinterpret(f"int32x{width}", weights)
    return tirx.call_extern(f"float32x{width}", found.function, total, both, words)


def widened(bits: Any, width: int) -> Any:
    """Return the float32 that a vector of bfloat16 stands for: the upper halves."""
    sixteen = tirx.Broadcast(tirx.const(16, "uint32"), width)
    whole = tirx.shift_left(tirx.Cast(f"uint32x{width}", bits), sixteen)
    return tirx.reinterpret(f"float32x{width}", whole)


def imported(function: Any, kinds: Collection[str]) -> Any:
    """Return the function with LLVM's text for what it uses."""
    for one in (INSTRUCTIONS[kind] for kind in sorted(kinds) if kind in INSTRUCTIONS):
        function = importing_text(function, one.text)
    return function


def importing_text(function: Any, text: str) -> Any:
    """Return a function with LLVM's text of one that it calls."""

    def importing(body: Any) -> Any:
        return tirx.AttrStmt(tirx.const(0, "int32"), "pragma_import_llvm", StringImm(text), body)

    realize = function.body
    if not isinstance(realize, SBlockRealize):
        return function.with_body(importing(realize))
    block = rebuilt(realize.block, importing(realize.block.body))
    return function.with_body(SBlockRealize(realize.iter_values, realize.predicate, block))


def rebuilt(block: Any, body: Any) -> Any:
    """Return a block with another body."""
    return type(block)(
        block.iter_vars, block.reads, block.writes, block.name_hint, body, block.init,
        block.alloc_buffers, block.match_buffers, block.annotations,
    )  # fmt: skip
