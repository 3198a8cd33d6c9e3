"""Fused expressions stay small: what would be written out too often becomes a kernel of its own.

    module = limit_fusion(module)        # before FuseOps; kernels have their fusion kinds

A fused kernel computes an element in one expression, into which every value is written out as often as it is read:
64 steps of `x = x * x + x` would be 3**64 products. And what is a polynomial (exp, tanh, erf) of another takes TVM's
code generator ten times as long as that: it puts each name's value in place of the name to learn about it. Size and
depth of each value's expression are counted; where one passes its limit the value is kept in memory, and the next
expression begins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tvm
import tvm_ffi
from tvm import IRModule, relax, tirx
from tvm.ir import TensorLoad
from tvm.relax.expr_functor import PyExprMutator, mutator

from ovenbird.limits import MAX_FUSED_SIZE
from ovenbird.passes.fusion.keep_unschedulable_apart import INJECTIVE, OPAQUE
from ovenbird.passes.rewriting import rewritten

POLYNOMIALS = frozenset({"exp", "tanh", "erf", "sigmoid"})
"""Functions that `operators/fast_math.py` writes out."""
MOST_NESTED = 2
"""Polynomials of polynomials; mish has these."""


@tvm.transform.module_pass(opt_level=0, name="LimitFusion")  # type: ignore[untyped-decorator]
def limit_fusion(module: IRModule, _: tvm.transform.PassContext) -> IRModule:
    """Return the module with calls that nothing fuses with where an expression would grow beyond the limit."""
    return rewritten(module, _Limiting)


@mutator
class _Limiting(PyExprMutator):  # type: ignore[misc]
    def __init__(self, module: IRModule) -> None:
        super().__init__(module)
        self.sizes = Sizes(module)

    def visit_call_(self, call: relax.Call) -> relax.Expr:
        call = self.visit_expr_post_order(call)
        size, depth = self.sizes.of_call(call, self.lookup_binding)
        if size <= MAX_FUSED_SIZE and depth <= MOST_NESTED:
            return call
        kernel = call.args[0]
        alone = self.sizes.kernels[kernel].with_attr("op_pattern", OPAQUE)
        apart = self.builder_.add_func(alone, f"{kernel.name_hint}_apart")
        self.sizes.kernels[apart] = alone
        return relax.Call(call.op, [apart, *call.args[1:]], call.attrs, call.ty_args)


Extent = tuple[int, int]
"""Operations that an element of a value is written as, and how many polynomials are in one another."""
READ = (1, 0)
"""The size of what is read from memory."""


class Sizes:
    """How large the expression of each value is."""

    def __init__(self, module: IRModule) -> None:
        self.kernels = dict(module.functions_items())
        self.known: dict[Any, Extent] = {}
        self.parts: dict[Any, tuple[int, int, list[int]]] = {}

    def of_call(self, call: Any, bound: Callable[[Any], Any]) -> Extent:
        """Return the size of a call's result; `bound` says what a variable is bound to."""
        if not isinstance(call, relax.Call) or getattr(call.op, "name", "") != "relax.call_tir":
            return READ
        kernel = call.args[0]
        pattern = self.kernels[kernel].attrs.get("op_pattern")
        if pattern is None or int(pattern) > INJECTIVE:
            return READ
        if kernel not in self.parts:
            self.parts[kernel] = parts_of(self.kernels[kernel])
        own, nested, reads = self.parts[kernel]
        sizes = [self.of(value, bound) for value in call.args[1]]
        total = own + sum(count * size for count, (size, _) in zip(reads, sizes, strict=False))
        return total, nested + max((depth for _, depth in sizes), default=0)

    def of(self, value: Any, bound: Callable[[Any], Any]) -> Extent:
        """Return the size of a value."""
        if not isinstance(value, relax.Var):
            return READ
        if value not in self.known:
            self.known[value] = self.of_call(bound(value), bound)
        return self.known[value]


def parts_of(kernel: tirx.PrimFunc) -> tuple[int, int, list[int]]:
    """Return how many operations a kernel has, whether one is a polynomial, and how often it reads each parameter."""
    loads: list[Any] = []
    calls: list[str] = []
    tvm_ffi.structural_walk(kernel.body, (TensorLoad, loads.append))
    tvm_ffi.structural_walk(kernel.body, (tvm.ir.Call, lambda call: calls.append(getattr(call.op, "name", ""))))
    nested = int(any(name.rpartition(".")[2] in POLYNOMIALS for name in calls))
    reads = [sum(load.source.same_as(parameter) for load in loads) for parameter in kernel.params]
    return len(loads) + len(calls), nested, reads
