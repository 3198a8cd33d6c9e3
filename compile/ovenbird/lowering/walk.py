"""The walk over an imported network: each operator is lowered by its backend's handler, or kept as it is.

Operators with a handler take and give values in the backend's form; all others see the plain tensors that the network
wrote, and a conversion is emitted only where the two meet: from the first convolution to the global pooling there is
none.

Example: `Lowering(function, BlockedForm(builder, 16), HANDLERS).run("main_b1")` writes that function into the builder.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import tvm
from tvm import relax

from ovenbird.lowering.form import Form
from ovenbird.lowering.value import Value
from ovenbird.passes.shapes import static_shape
from ovenbird.passes.share_constants import SharedConstants, array_of, constant_of, key_of
from ovenbird_runtime.tensors.arrays import Array

OUT_ELEMENTWISE_FUSABLE = 4
"""TVM's fusion kind of an operator that takes elementwise operators behind it into its own function."""

INJECTIVE = 2
"""TVM's fusion kind of an operator that reads each element of its output from somewhere: no reduction takes it in."""

Lowered = Value | tuple[Value, ...]

Handler = Callable[[Any, relax.Call], "Lowered | None"]
"""An operator's lowering, given the walk and the call; None means "not here"."""

Handlers = Mapping[str, tuple[Handler, ...]]
"""For each Relax operator the handlers to ask, in order; an operator that none of them takes is kept as it is."""


class Lowering:
    """Lowers one function into the form's block builder."""

    def __init__(self, function: relax.Function, form: Form, handlers: Handlers) -> None:
        self.function = function
        self.form = form
        self.builder = form.builder
        self.handlers = handlers
        self.known: dict[relax.Var, Lowered] = {}
        self.kept: SharedConstants = {}
        """Packed weights by their content: functions for several batch sizes hold them once."""

        self.current: relax.Var | None = None
        """The variable whose binding is being lowered."""

        self.folded_norms: set[relax.Call] = set()
        """Batch norms that a convolution has taken into its weights."""

        self.sole_reader = sole_readers(function)
        """The only call that reads a variable, for those that are read once."""

        self.definitions: dict[relax.Var, relax.Expr] = {
            binding.var: binding.value for block in function.body.blocks for binding in block.bindings
        }
        """What each variable of the function is bound to."""

    def run(self, name: str) -> None:
        """Write the lowered function `name` into the builder's module; inputs and outputs keep their dtypes."""
        parameters = [relax.Var(p.name, p.ty) for p in self.function.params]
        with self.builder.function(name, parameters):
            with self.builder.dataflow():
                for old, new in zip(self.function.params, parameters, strict=True):
                    self.known[old] = self.entered(new)
                for block in self.function.body.blocks:
                    for binding in block.bindings:
                        self.current = binding.var
                        self.known[binding.var] = self.lower_binding(binding)
                output = self.builder.emit_output(self.expression(self.function.body.body))
            self.builder.emit_func_output(output)

    def lower_binding(self, binding: relax.VarBinding) -> Lowered:
        """Return the value of one binding."""
        expr = binding.value
        if isinstance(expr, relax.Call):
            return self.lower_call(expr)
        if isinstance(expr, relax.TupleGetItem):
            source = self.known[expr.tuple_value]
            if isinstance(source, tuple):
                return source[int(expr.index)]
            return self.entered(self.builder.emit(relax.TupleGetItem(source.plain, expr.index)))
        if isinstance(expr, relax.Tuple):
            return tuple(self.value(field) for field in expr.fields)
        return self.value(expr)

    def lower_call(self, call: relax.Call) -> Lowered:
        """Return what the first handler gives that takes the call; else keep the call."""
        for handler in self.handlers.get(getattr(call.op, "name", ""), ()):
            lowered = handler(self, call)
            if lowered is not None:
                return lowered
        return self.keep(call)

    def keep(self, call: relax.Call) -> Lowered:
        """Emit the call as it is, on plain values in the dtypes that it was written for."""
        arguments = [self.expression(arg) for arg in call.args]
        return self.entered(self.builder.emit(relax.Call(call.op, arguments, call.attrs, call.ty_args)))

    def entered(self, expr: relax.Expr) -> Value:
        """Return the value of an expression of the lowered function, in the form's precision."""
        return self.tensor(self.form.narrowed(expr) if isinstance(expr.ty, relax.TensorType) else expr)

    def expression(self, expr: relax.Expr) -> relax.Expr:
        """Return the plain expression that stands for `expr`, in the dtype that it has in the network."""
        if isinstance(expr, relax.Tuple):
            return relax.Tuple([self.expression(field) for field in expr.fields])
        if not isinstance(expr, relax.Var):
            return expr
        known = self.known[expr]
        if isinstance(known, tuple):
            return relax.Tuple([self._restored(value, ty) for value, ty in zip(known, expr.ty.fields, strict=True)])
        return self._restored(known, expr.ty)

    def _restored(self, value: Value, ty: Any) -> relax.Expr:
        return self.form.restored(self.form.plain(value), ty)

    def value(self, expr: relax.Expr) -> Value:
        """Return the value of a tensor expression of the network."""
        if isinstance(expr, relax.Var):
            known = self.known[expr]
            if isinstance(known, tuple):
                raise TypeError(f"{expr.name} is a tuple where a tensor is needed")
            return known
        return self.tensor(expr)

    def parts(self, expr: relax.Expr) -> list[Value]:
        """Return the values of a tuple of tensors."""
        known = self.known.get(expr) if isinstance(expr, relax.Var) else None
        return list(known) if isinstance(known, tuple) else [self.value(field) for field in expr.fields]

    def tensor(self, expr: relax.Expr) -> Value:
        """Wrap a plain expression; non-tensors (shapes, tuples) have an empty shape, constants take the precision."""
        if not isinstance(expr.ty, relax.TensorType):
            return Value(shape=(), dtype="", plain=expr)
        if isinstance(expr, tvm.ir.GenericConst):
            array = array_of(expr)
            narrowed = self.form.narrowed_array(array)
            if narrowed is not array:
                return self.constant(narrowed)
            return Value(static_shape(expr) or (), str(expr.ty.dtype), plain=expr, constant=array)
        return Value(static_shape(expr) or (), str(expr.ty.dtype), plain=expr)

    def constant(self, array: Array) -> Value:
        """Return a constant value."""
        return Value(array.shape, str(array.dtype), plain=constant_of(array), constant=array)

    def weight(self, array: Array) -> relax.Expr:
        """Return packed weights as a constant, the one that an earlier function has where it has equal ones."""
        constant = constant_of(array)
        return self.kept.setdefault(key_of(array_of(constant)), constant)

    def emit_te(self, name: str, function: Callable[..., object], *tensors: relax.Expr, **options: object) -> relax.Var:
        """Emit a tensor expression as a function of its own, into which elementwise operators behind it may fuse."""
        return self.builder.emit_te(
            functools.partial(function, **options),
            *tensors,
            primfunc_name_hint=name,
            primfunc_attrs={"op_pattern": OUT_ELEMENTWISE_FUSABLE},
        )


def sole_readers(function: relax.Function) -> dict[relax.Var, relax.Call]:
    """Return, for each variable that one call reads and nothing else: that call."""
    readers: dict[relax.Var, list[relax.Expr]] = {}

    def visit(expr: relax.Expr) -> None:
        parts = expr.args if isinstance(expr, relax.Call) else getattr(expr, "fields", ())
        if isinstance(expr, relax.TupleGetItem):
            parts = (expr.tuple_value,)
        for part in parts:
            if isinstance(part, relax.Var):
                readers.setdefault(part, []).append(expr)

    for block in function.body.blocks:
        for binding in block.bindings:
            visit(binding.value)
    if isinstance(function.body.body, relax.Var):
        readers.setdefault(function.body.body, []).append(function.body.body)
    return {var: users[0] for var, users in readers.items() if len(users) == 1 and isinstance(users[0], relax.Call)}
