"""Functions that an importer wrote next to `main` (a tensor expression that no Relax operator says) go where it goes.

main = adopt_functions(module, builder)     # calls the builder's copies; equal ones of several networks are shared
"""

from __future__ import annotations

from typing import Any

from tvm import IRModule, relax, tirx
from tvm.relax.expr_functor import PyExprMutator, mutator


def adopt_functions(module: IRModule, builder: relax.BlockBuilder) -> relax.Function:
    """Put the module's tensor functions into the builder's module and return `main`, which calls them there."""
    adopted = {
        name: builder.add_func(function, name.name_hint)
        for name, function in module.functions_items()
        if isinstance(function, tirx.PrimFunc)
    }
    return _Renamed(adopted).visit_expr(module["main"]) if adopted else module["main"]


@mutator
class _Renamed(PyExprMutator):  # type: ignore[misc]
    """Puts other functions in place of those named."""

    def __init__(self, names: dict[Any, Any]) -> None:
        super().__init__()
        self.names = names

    def visit_global_var_(self, name: Any) -> Any:
        return self.names.get(name, name)
