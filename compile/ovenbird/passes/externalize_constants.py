"""Moves a module's constants out of the code: they become parameters behind the inputs.

The runtime passes them from a file that every process maps read-only, so the library stays small and nothing is copied.
"""

from __future__ import annotations

import numpy as np
import tvm
from tvm import IRModule, relax

from ovenbird.passes.share_constants import ArrayKey, array_of, key_of
from ovenbird_runtime.tensors.arrays import Array

SMALL_BYTES = 64
"""Constants of at most this many bytes stay in the library."""


class ConstantTable:
    """The distinct constants of a module, by their bytes."""

    def __init__(self) -> None:
        self.arrays: list[Array] = []
        self._index: dict[ArrayKey, int] = {}

    def add(self, array: Array) -> int:
        """Return the index of `array`, the same one for equal arrays."""
        array = np.ascontiguousarray(array)
        key = key_of(array)
        if key not in self._index:
            self._index[key] = len(self.arrays)
            self.arrays.append(array)
        return self._index[key]


def externalize_constants(module: IRModule, table: ConstantTable) -> tuple[IRModule, dict[str, list[int]]]:
    """Return the module with constants as parameters, and for each Relax function the
    table's indices in parameter order.
    """
    result = IRModule(dict(module.functions_items()), attrs=module.attrs)
    order: dict[str, list[int]] = {}
    for name, function in module.functions_items():
        if not isinstance(function, relax.Function):
            continue
        mover = _Mover(table)
        body = mover.visit_expr(function.body)
        parameters = [*function.params, *mover.parameters.values()]
        attrs = dict(function.attrs) if function.attrs else {}
        attrs["num_input"] = len(function.params)
        moved = relax.Function(parameters, body, function.ret_ty, function.is_pure)
        result[name] = moved.with_attrs(attrs)
        order[name.name_hint] = list(mover.parameters)
    return result, order


@relax.expr_functor.mutator
class _Mover(relax.PyExprMutator):  # type: ignore[misc]
    def __init__(self, table: ConstantTable) -> None:
        super().__init__()
        self.table = table
        self.parameters: dict[int, relax.Var] = {}

    def visit_generic_const_(self, constant: tvm.ir.GenericConst) -> relax.Expr:
        array = array_of(constant)
        if array.nbytes <= SMALL_BYTES:
            return constant
        index = self.table.add(array)
        if index not in self.parameters:
            self.parameters[index] = relax.Var(f"weight_{index}", constant.ty)
        return self.parameters[index]
