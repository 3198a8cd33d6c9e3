"""Constants where they lie: weights are most of what a compile holds, so they are copied only to change them.

array = array_of(constant)          # shares the memory of the tensor, and keeps it
constant = constant_of(array.T)     # the one copy that rearranging takes
kept: SharedConstants = {}          # modules that were imported one after the other then hold one copy of equal weights
modules = [share_constants(module, kept) for module in modules]
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
import tvm
from tvm import IRModule, relax

from ovenbird_runtime.tensors.arrays import Array

ArrayKey: TypeAlias = "tuple[bytes, str, tuple[int, ...]]"

SharedConstants: TypeAlias = "dict[ArrayKey, tvm.ir.GenericConst]"
"""The first constant of each content, dtype and shape."""


def array_of(constant: tvm.ir.GenericConst) -> Array:
    """Return a constant's numbers, not to be written to; a copy where numpy lacks their dtype."""
    try:
        found: Array = np.from_dlpack(constant.value)
    except (BufferError, RuntimeError, TypeError):  # bfloat16
        found = constant.value.numpy()
    return found


def constant_of(array: Array) -> tvm.ir.GenericConst:
    """Return an array of any strides as a constant: written once, where `relax.const` would copy it twice."""
    try:
        tensor = tvm.runtime.empty(array.shape, str(array.dtype))
        np.from_dlpack(tensor)[...] = array
    except (BufferError, RuntimeError, TypeError):  # bfloat16
        return relax.const(np.ascontiguousarray(array))
    return relax.const(tensor)


def key_of(array: Array) -> ArrayKey:
    """Return what identifies an array: its digest, dtype and shape."""
    return hashlib.sha256(array.reshape(-1).view(np.uint8).data).digest(), str(array.dtype), array.shape


def constants_bytes(modules: Iterable[IRModule]) -> int:
    """Return what the constants of imported modules take, in bytes; what several hold in one place counts once."""
    found: dict[int, int] = {}

    def visit(node: Any) -> None:
        if isinstance(node, tvm.ir.GenericConst):
            array = array_of(node)
            found[array.ctypes.data] = array.nbytes

    for module in modules:
        for function in module.functions.values():
            if isinstance(function, relax.Function):
                relax.analysis.post_order_visit(function, visit)
    return sum(found.values())


def share_constants(module: IRModule, kept: SharedConstants) -> IRModule:
    """Return the module with the constants in `kept` in the place of equal ones; those that are new are kept."""
    result = IRModule(dict(module.functions_items()), attrs=module.attrs)
    for name, function in module.functions_items():
        if isinstance(function, relax.Function):
            result[name] = _Sharer(kept).visit_expr(function)
    return result


@relax.expr_functor.mutator
class _Sharer(relax.PyExprMutator):  # type: ignore[misc]
    def __init__(self, kept: SharedConstants) -> None:
        super().__init__()
        self.kept = kept

    def visit_generic_const_(self, constant: tvm.ir.GenericConst) -> relax.Expr:
        return self.kept.setdefault(key_of(array_of(constant)), constant)
