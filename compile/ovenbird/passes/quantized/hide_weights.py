"""Weights of 8 bits stay so while constant parts of a network are computed.

module = hide_weights(module)                  # dequantize(constant int8) becomes a call that TVM does not know
module = relax.transform.FoldConstant()(module)
module = show_weights(module)                  # and dequantize again
"""

from __future__ import annotations

from typing import Any

import tvm
from tvm import IRModule, relax
from tvm.ir import StringImm

HIDDEN = "ovenbird.dequantize"
"""The name of the call in between."""


@tvm.transform.module_pass(opt_level=0, name="HideWeights")  # type: ignore[untyped-decorator]
def hide_weights(module: IRModule, _: tvm.transform.PassContext) -> IRModule:
    """Return the module with the dequantization of int8 constants hidden."""
    return _mutated(module, _Hider)


@tvm.transform.module_pass(opt_level=0, name="ShowWeights")  # type: ignore[untyped-decorator]
def show_weights(module: IRModule, _: tvm.transform.PassContext) -> IRModule:
    """Return the module with what `hide_weights` hid in its place again."""
    return _mutated(module, _Shower)


def _mutated(module: IRModule, mutator: Any) -> IRModule:
    result = IRModule(dict(module.functions_items()), attrs=module.attrs)
    for name, function in module.functions_items():
        if isinstance(function, relax.Function):
            result[name] = mutator(module).visit_expr(function)
    return result


@relax.expr_functor.mutator
class _Hider(relax.PyExprMutator):  # type: ignore[misc]
    def visit_call_(self, call: relax.Call) -> relax.Expr:
        call = self.visit_expr_post_order(call)
        if getattr(call.op, "name", "") != "relax.dequantize" or str(call.args[0].ty.dtype) != "int8":
            return call
        if not isinstance(call.args[0], tvm.ir.GenericConst):
            return call
        options = StringImm(f"{int(call.attrs.axis)} {call.attrs.out_dtype}")
        return relax.op.call_pure_packed(HIDDEN, *call.args, options, ty_args=call.ty)


@relax.expr_functor.mutator
class _Shower(relax.PyExprMutator):  # type: ignore[misc]
    def visit_call_(self, call: relax.Call) -> relax.Expr:
        call = self.visit_expr_post_order(call)
        if getattr(call.op, "name", "") != "relax.call_pure_packed" or str(call.args[0].global_symbol) != HIDDEN:
            return call
        _, weight, scale, zero, options = call.args
        axis, dtype = str(options.value).split()
        return relax.op.dequantize(weight, scale, zero, int(axis), dtype)
