"""Writes a network's `main` anew, binding by binding; what is made of each call is a subclass's.

class Doubled(Rewriter):
    def rewrite(self, var, value): return relax.op.add(given := self.substituted(value), given)

module = Doubled(module).run()
"""

from __future__ import annotations

from typing import Any

from tvm import IRModule, relax

from ovenbird.quantize.graph import Graph


class Rewriter:
    """Rewrites one module, once. `new`: for each variable, what stands for it."""

    def __init__(self, module: IRModule) -> None:
        self.module = module
        self.function: relax.Function = module["main"]
        self.graph = Graph.of(self.function)
        self.builder = relax.BlockBuilder()
        self.new: dict[relax.Var, relax.Expr] = {}
        self.added: list[relax.Var] = []
        """Parameters besides the function's own, behind them."""

    def run(self) -> IRModule:
        """Return the module."""
        parameters = [relax.Var(one.name, one.ty) for one in self.function.params]
        self.new.update(zip(self.function.params, parameters, strict=True))
        with self.builder.function("main", [*parameters, *self.added]):
            with self.builder.dataflow():
                for block in self.function.body.blocks:
                    for binding in block.bindings:
                        self.new[binding.var] = self.emit(self.rewrite(binding.var, binding.value))
                result = self.builder.emit_output(self.result())
            self.builder.emit_func_output(result)
        functions = dict(self.module.functions_items())
        functions[self.module.get_global_var("main")] = self.builder.get()["main"]
        return relax.transform.DeadCodeElimination()(IRModule(functions))

    def rewrite(self, var: relax.Var, value: relax.Expr) -> relax.Expr:
        """Return what a variable is to be bound to."""
        return self.substituted(value)

    def result(self) -> relax.Expr:
        """Return what the function is to give."""
        return self.substituted(self.function.body.body)

    def emit(self, value: relax.Expr) -> relax.Expr:
        """Bind an expression to a variable."""
        return value if isinstance(value, relax.Var) else self.builder.emit(value)

    def substituted(self, value: Any) -> Any:
        """Return an expression of the old function in the new one's variables."""
        if isinstance(value, relax.Var):
            return self.new.get(value, value)
        if isinstance(value, relax.Tuple):
            return relax.Tuple([self.substituted(field) for field in value.fields])
        if isinstance(value, relax.TupleGetItem):
            return relax.TupleGetItem(self.substituted(value.tuple_value), value.index)
        if isinstance(value, relax.Call):
            arguments = [self.substituted(argument) for argument in value.args]
            return relax.Call(value.op, arguments, value.attrs, value.ty_args)
        return value
