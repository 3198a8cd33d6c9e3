"""Keeps a kernel's small buffers on the stack, where they become registers.

TVM asks its workspace allocator for every local buffer, each time a tile begins, and LLVM must then assume that the
accumulators in it may be seen by others. Kernels of a GPU have registers anyway.
"""

from __future__ import annotations

from typing import Any

import tvm_ffi
from tvm import tirx

KEEP_ON_STACK = "disable_lower_builtin"
"""Read by TVM's own lowering: an allocation that carries it stays an allocation of the code generator, on the stack."""


@tirx.transform.prim_func_pass(opt_level=0, name="KeepLocalsOnStack")  # type: ignore[untyped-decorator]
def keep_locals_on_stack(function: tirx.PrimFunc, _module: Any, _context: Any) -> tirx.PrimFunc:
    """Mark every buffer of scope "local" that a processor's code has."""
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
