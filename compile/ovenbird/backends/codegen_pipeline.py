"""TVM's lowering of kernels, with two steps more: prefetches before it, local buffers on the stack behind it.

TVM asks its workspace allocator for every local buffer, each time a tile begins, and LLVM must then assume that the
accumulators in it may be seen by others. On the stack they become registers. Kernels of a GPU have registers anyway; in
a library for one, this concerns what `for_host` keeps on the processor.

Example: `relax.build(module, target, tir_pipeline=PIPELINE)`.
"""

from __future__ import annotations

from typing import Any

import tvm
import tvm_ffi
from tvm import tirx
from tvm.s_tir.pipeline import default_s_tir_pipeline
from tvm.tirx import compilation_pipeline

from ovenbird.passes.insert_prefetches import insert_prefetches

#: The name under which TVM knows this pipeline.
PIPELINE = "ovenbird"

#: Read by TVM's own lowering: an allocation that carries it stays an allocation of the code generator, on the stack.
KEEP_ON_STACK = "disable_lower_builtin"


@tirx.transform.prim_func_pass(opt_level=0, name="PrefetchWeights")  # type: ignore[untyped-decorator]
def prefetch_weights(function: tirx.PrimFunc, _module: Any, _context: Any) -> tirx.PrimFunc:
    """Puts the prefetches where the schedule has annotated a loop."""
    return insert_prefetches(function)


@tirx.transform.prim_func_pass(opt_level=0, name="KeepLocalsOnStack")  # type: ignore[untyped-decorator]
def keep_locals_on_stack(function: tirx.PrimFunc, _module: Any, _context: Any) -> tirx.PrimFunc:
    """Marks every buffer of scope "local" that a processor's code has."""
    target = function.attrs.get("target")
    if target is not None and target.kind.name != "llvm":
        return function

    def visit(allocation: tirx.AllocBuffer) -> tirx.AllocBuffer:
        if allocation.buffer.scope() != "local":
            return allocation
        return tirx.AllocBuffer(
            allocation.buffer, {**dict(allocation.annotations), KEEP_ON_STACK: tirx.const(1, "int32")}
        )

    return tvm_ffi.structural_map(function, (tirx.AllocBuffer, visit))


def for_host(function: tirx.PrimFunc, target: tvm.target.Target) -> tirx.PrimFunc:
    """The function as one that the processor runs, in a library whose other kernels are for the GPU of `target`."""
    return function.with_attr("target", target.host)


def ovenbird_pipeline() -> tuple[Any, Any, Any]:
    """The passes before host and device are split, and those behind the split, as TVM's registry wants them."""
    passes, host, device = default_s_tir_pipeline()
    return tvm.transform.Sequential([prefetch_weights, passes, keep_locals_on_stack]), host, device


compilation_pipeline.PIPELINE_MAP[PIPELINE] = ovenbird_pipeline
