"""Makes modules that were imported one after the other hold one copy of the weights that they have in common.

kept: SharedConstants = {}
modules = [share_constants(module, kept) for module in modules]
"""

from __future__ import annotations

from typing import TypeAlias

import tvm
from tvm import IRModule, relax

from ovenbird.passes.constant_arrays import ArrayKey, array_of, key_of

SharedConstants: TypeAlias = "dict[ArrayKey, tvm.ir.GenericConst]"
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
        return self.kept.setdefault(key_of(array_of(constant)), constant)
