"""TVM's lowering of scheduled kernels, and passes of ours: before it, floats kept as they are written, prefetches,
products of 8-bit numbers, stores of levels and of bfloat16; behind it maxima that keep NaN, local buffers on the stack,
products apart from sums.

In a library for a GPU this concerns what `for_host` keeps on the processor.

Example: `relax.build(module, target, tir_pipeline=codegen_pipeline())`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import tvm
import tvm_ffi
from tvm import tirx
from tvm.s_tir.pipeline import default_s_tir_pipeline
from tvm.tirx import compilation_pipeline

from ovenbird.operators.anchors import ANCHOR
from ovenbird.operators.fast_math import register_fast_math
from ovenbird.operators.quantized.rounding import EXACT
from ovenbird.passes.floats.keep_nan import keep_nan
from ovenbird.passes.floats.keep_rounding import keep_rounding
from ovenbird.passes.kernels.divide_evenly import divide_evenly
from ovenbird.passes.kernels.insert_prefetches import insert_prefetches
from ovenbird.passes.kernels.keep_locals_on_stack import keep_locals_on_stack
from ovenbird.passes.quantized.emit_dots import emit_dots
from ovenbird.passes.quantized.keep_products import keep_products, mark_exact
from ovenbird.passes.quantized.keep_steps_apart import keep_steps_apart
from ovenbird.passes.quantized.round_vectors import round_vectors
from ovenbird.passes.quantized.store_levels import store_levels

PIPELINE = "ovenbird"
"""The name under which TVM knows this pipeline."""
SCOPE = "pragma_scope"
"""The attribute by which topi keeps the statements of a scatter together."""


@cache
def codegen_pipeline() -> str:
    """Return the pipeline's name; the first call registers it with TVM, and how exp, tanh and erf are compiled."""
    compilation_pipeline.PIPELINE_MAP[PIPELINE] = passes
    register_fast_math()
    return PIPELINE


def passes() -> tuple[Any, Any, Any]:
    """Return the passes before host and device are split, and those behind the split, as TVM's registry wants them."""
    before, host, device = default_s_tir_pipeline()
    ours = [
        drop_scopes,
        keep_rounding,
        insert_prefetches,
        keep_steps_apart,
        emit_dots,
        mark_exact(EXACT, ANCHOR),
        store_levels,
        round_vectors,
        before,
        divide_evenly,
        keep_nan,
        keep_locals_on_stack,
    ]

    def finish() -> Any:
        return tvm.transform.Sequential([host(), keep_products])

    return tvm.transform.Sequential(ours), finish, device


@tirx.transform.prim_func_pass(opt_level=0, name="DropScopes")  # type: ignore[untyped-decorator]
def drop_scopes(function: tirx.PrimFunc, _module: Any, _context: Any) -> tirx.PrimFunc:
    """Leave out what means nothing to a code generator, which would warn the user of it."""

    def visit(node: tirx.AttrStmt) -> Any:
        return node.body if node.attr_key == SCOPE else node

    return tvm_ffi.structural_map(function, (tirx.AttrStmt, visit))


def for_host(function: tirx.PrimFunc, target: tvm.target.Target) -> tirx.PrimFunc:
    """Return the function as one that the processor runs, in a library whose other kernels are for a GPU."""
    return function.with_attr("target", target.host)
