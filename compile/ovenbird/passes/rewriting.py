"""Passes that write functions of a network anew, call by call.

@mutator
class _Doubling(PyExprMutator):
    def visit_call_(self, call): ...

module = rewritten(module, _Doubling)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import IRModule, relax


def rewritten(module: IRModule, mutator: Callable[[IRModule], Any]) -> IRModule:
    """Return the module with each of its networks as a mutator, made for it, visits it."""
    for name, function in module.functions_items():
        if isinstance(function, relax.Function):
            one = mutator(module)
            one.builder_.update_func(name, one.visit_expr(function))
            module = one.builder_.get()
    return module
