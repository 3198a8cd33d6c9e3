"""Lowers an imported network: every image tensor in the blocked layout, every heavy operator in packed form.

One walk over the bindings. Operators of `image_ops` take and give blocked values; all others see the plain form, and a
conversion is emitted only where the two meet: from the first convolution to the global pooling there is none.

Example: `lower({1: module}, block=16)` gives one IRModule with the function `main_b1`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import tvm
from tvm import relax

from ovenbird.backends.cpu.algorithms import Algorithm
from ovenbird.backends.cpu.lowering.values import Value, Values
from ovenbird.backends.cpu.machine import Machine

#: TVM's fusion kind of an operator that takes elementwise operators behind it into its own function.
OUT_ELEMENTWISE_FUSABLE = 4

Lowered = Value | tuple[Value, ...]

#: An operator's lowering; None means "not here": the operator is then kept as it is, on plain values.
Handler = Callable[["Lowering", relax.Call], "Lowered | None"]

HANDLERS: dict[str, Handler] = {}

#: Tried where an operator's handler says "not here".
FALLBACKS: dict[str, Handler] = {}


def handles(*names: str) -> Callable[[Handler], Handler]:
    """Registers the lowering of the Relax operators `names`."""

    def register(handler: Handler) -> Handler:
        for name in names:
            HANDLERS[name] = handler
        return handler

    return register


class Lowering:
    """Lowers one function into a block builder."""

    def __init__(
        self,
        builder: relax.BlockBuilder,
        function: relax.Function,
        machine: Machine,
        algorithms: dict[str, Algorithm] | None = None,
        batch: int = 1,
        smallest_batch: int = 1,
        deciding: Machine | None = None,
    ) -> None:
        self.builder = builder
        #: Measured choices of convolution algorithms, by `ConvolutionShape.key`.
        self.algorithms = algorithms or {}
        #: The machine whose estimate chooses among algorithms: variants that share their weights ask one for all.
        self.deciding = deciding or machine
        #: This function's batch size, and the smallest one that the library is compiled for.
        self.batch, self.smallest_batch = batch, smallest_batch
        self.function = function
        self.machine = machine
        self.block = machine.block
        self.values = Values(builder, machine.block)
        self.known: dict[relax.Var, Lowered] = {}
        #: The variable whose binding is being lowered.
        self.current: relax.Var | None = None
        #: Batch norms that a convolution has taken into its weights.
        self.folded_norms: set[relax.Call] = set()
        #: The only call that reads a variable, for those that are read once.
        self.sole_reader = sole_readers(function)
        #: What each variable of the function is bound to.
        self.definitions: dict[relax.Var, relax.Expr] = {
            binding.var: binding.value for block in function.body.blocks for binding in block.bindings
        }

    def run(self, name: str) -> None:
        """Writes the lowered function `name` into the builder's module."""
        parameters = [relax.Var(p.name, p.ty) for p in self.function.params]
        for old, new in zip(self.function.params, parameters, strict=True):
            self.known[old] = tensor_value(new)
        with self.builder.function(name, parameters):
            with self.builder.dataflow():
                for block in self.function.body.blocks:
                    for binding in block.bindings:
                        self.current = binding.var
                        self.known[binding.var] = self.lower_binding(binding)
                result = self.expression(self.function.body.body)
                output = self.builder.emit_output(result)
            self.builder.emit_func_output(output)

    def lower_binding(self, binding: relax.VarBinding) -> Lowered:
        """The value of one binding."""
        expr = binding.value
        if isinstance(expr, relax.Call):
            handler = HANDLERS.get(getattr(expr.op, "name", ""))
            lowered = handler(self, expr) if handler is not None else None
            if lowered is None and (fallback := FALLBACKS.get(getattr(expr.op, "name", ""))) is not None:
                lowered = fallback(self, expr)
            return self.keep(expr) if lowered is None else lowered
        if isinstance(expr, relax.TupleGetItem):
            source = self.known[expr.tuple_value]
            if isinstance(source, tuple):
                return source[int(expr.index)]
            return tensor_value(self.builder.emit(relax.TupleGetItem(source.plain, expr.index)))
        if isinstance(expr, relax.Tuple):
            return tuple(self.value(field) for field in expr.fields)
        return self.value(expr)

    def keep(self, call: relax.Call) -> Lowered:
        """The call as it is, on plain values."""
        arguments = [self.expression(arg) for arg in call.args]
        result = self.builder.emit(relax.Call(call.op, arguments, call.attrs, call.ty_args))
        return tensor_value(result)

    def expression(self, expr: relax.Expr) -> relax.Expr:
        """The plain expression that stands for `expr` in the lowered function."""
        if isinstance(expr, relax.Var):
            known = self.known[expr]
            if isinstance(known, tuple):
                return relax.Tuple([self.values.plain(value) for value in known])
            return self.values.plain(known)
        if isinstance(expr, relax.Tuple):
            return relax.Tuple([self.expression(field) for field in expr.fields])
        return expr

    def value(self, expr: relax.Expr) -> Value:
        """The value of a tensor expression."""
        if isinstance(expr, relax.Var):
            known = self.known[expr]
            if isinstance(known, tuple):
                raise TypeError(f"{expr.name} is a tuple where a tensor is needed")
            return known
        return tensor_value(expr)

    def emit_te(self, name: str, function: Callable[..., object], *tensors: relax.Expr, **options: object) -> relax.Var:
        """Emits a tensor expression as a function of its own, into which elementwise operators behind it may fuse."""
        return self.builder.emit_te(
            functools.partial(function, **options),
            *tensors,
            primfunc_name_hint=name,
            primfunc_attrs={"op_pattern": OUT_ELEMENTWISE_FUSABLE},
        )


def static_shape(expr: relax.Expr) -> tuple[int, ...] | None:
    """The static shape of a tensor expression; None if it is unknown or symbolic."""
    return static_shape_of(expr.ty)


def static_shape_of(tensor: relax.TensorType) -> tuple[int, ...] | None:
    """The static shape of a tensor type; None if it is unknown or symbolic."""
    shape = tensor.shape
    if not isinstance(shape, relax.ShapeExpr):
        return None
    try:
        return tuple(int(extent) for extent in shape.values)
    except TypeError:
        return None


def tensor_value(expr: relax.Expr) -> Value:
    """Wraps a plain expression; non-tensors (shapes, tuples) have an empty shape."""
    if not isinstance(expr.ty, relax.TensorType):
        return Value(shape=(), dtype="", plain=expr)
    constant = expr.value.numpy() if isinstance(expr, tvm.ir.GenericConst) else None
    return Value(shape=static_shape(expr) or (), dtype=str(expr.ty.dtype), plain=expr, constant=constant)


def sole_readers(function: relax.Function) -> dict[relax.Var, relax.Call]:
    """For each variable that one call reads, and nothing else: that call."""
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
