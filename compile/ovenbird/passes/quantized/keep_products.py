"""Products of floats are rounded before they are added, where the result must be the same on every processor.

    module = mark_exact(annotation, anchor)(module)     # scheduled functions: those with a block that is so annotated
    module = keep_products(module)              # behind TVM's lowering, and behind that of exp, tanh and erf

TVM and LLVM join `a * b + c` into one instruction with one rounding where the processor has that. A fence around the
product (`llvm.arithmetic.fence`, which is no instruction) keeps the two apart.

A function that sums floats, whose order or instructions the processor decides, is left as fast as it is: a convolution
in float32 between layers in whole numbers, a layer norm, attention.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import tvm
import tvm_ffi
from tvm import tirx
from tvm.s_tir import SBlock

FENCE = "llvm.arithmetic.fence"

MARK = "ovenbird.keeps_products"
"""The attribute of a marked function."""


def mark_exact(annotation: str, anchor: str) -> Any:
    """Return the pass that marks functions with a block that is so annotated, and an anchor that sums no floats."""

    def mark(function: tirx.PrimFunc, _module: Any, _context: Any) -> tirx.PrimFunc:
        blocks: list[SBlock] = []
        tvm_ffi.structural_walk(function.body, (SBlock, blocks.append))
        exact = any(annotation in block.annotations for block in blocks)
        return function.with_attr(MARK, 1) if exact and not any(map(sums_floats, blocks)) else function

    def sums_floats(block: SBlock) -> bool:
        return anchor in block.annotations and any(
            str(region.source.dtype).startswith("float") for region in block.writes
        )

    return tirx.transform.prim_func_pass(mark, opt_level=0, name="MarkExact")


@tirx.transform.prim_func_pass(opt_level=0, name="KeepProducts")  # type: ignore[untyped-decorator]
def keep_products(function: tirx.PrimFunc, _module: Any, _context: Any) -> tirx.PrimFunc:
    """Return a marked function with a fence around each product of floats."""
    if not function.attrs or MARK not in function.attrs:
        return function
    return tvm_ffi.structural_map(function, [(tirx.Mul, fenced), (tvm.ir.Call, parted)])


def fenced(product: Any) -> Any:
    """Return a product of floats as what LLVM must not join with anything; of whole numbers as it is."""
    dtype = str(product.ty.dtype)
    return tirx.call_llvm_pure_intrin(dtype, FENCE, product) if dtype.startswith("float") else product


def parted(call: Any) -> Any:
    """Return a joined product and sum as two operations; any other call as it is."""
    if getattr(call.op, "name", "") != "tirx.call_llvm_pure_intrin" or int(call.args[0]) != joined():
        return call
    first, second, added = call.args[1:]
    return tirx.Add(fenced(tirx.Mul(first, second)), added)


@cache
def joined() -> int:
    """Return LLVM's number of the intrinsic that TVM makes of a product and a sum."""
    return int(tvm.target.codegen.llvm_lookup_intrinsic_id("llvm.fmuladd"))
