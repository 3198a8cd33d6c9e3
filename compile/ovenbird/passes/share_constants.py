"""Makes modules that were imported one after the other hold one copy of the weights that they have in common.

kept: SharedConstants = {}
modules = [share_constants(module, kept) for module in modules]
"""

from __future__ import annotations

import hashlib
from typing import TypeAlias

import tvm
from tvm import IRModule, relax

SharedConstants: TypeAlias = "dict[tuple[bytes, str, tuple[int, ...]], tvm.ir.GenericConst]"
"""The first constant of each content, dtype and shape."""


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
        array = constant.value.numpy()
        key = (hashlib.sha256(array.tobytes()).digest(), str(array.dtype), array.shape)
        return self.kept.setdefault(key, constant)
