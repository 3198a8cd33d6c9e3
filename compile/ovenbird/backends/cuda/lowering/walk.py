"""Lowers an imported network for a GPU: images channels last, heavy operators as products, floats in one precision.

One walk over the bindings. Operators with a handler here take and give images as [N, H, W, C]; all others see the
tensors as the network wrote them, in float32.

Example: `GpuLowering(builder, function, "float16").run("main_b1")`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tvm
from tvm import relax

from ovenbird.backends.cuda.lowering.values import FLOATS, Value, Values
from ovenbird.lowering.walk import OUT_ELEMENTWISE_FUSABLE, sole_readers, static_shape

Lowered = Value | tuple[Value, ...]

#: An operator's lowering; None means "not here": the operator is then kept as it is.
Handler = Callable[["GpuLowering", relax.Call], "Lowered | None"]

HANDLERS: dict[str, Handler] = {}


def handles(*names: str) -> Callable[[Handler], Handler]:
    """Registers the lowering of the Relax operators `names`."""

    def register(handler: Handler) -> Handler:
        for name in names:
            HANDLERS[name] = handler
        return handler

    return register


class GpuLowering:
    """Lowers one function into a block builder. `precision`: "float32" or "float16", that of values in memory."""

    def __init__(self, builder: relax.BlockBuilder, function: relax.Function, precision: str) -> None:
        self.builder = builder
        self.function = function
        self.precision = precision
        self.values = Values(builder, precision)
        self.known: dict[relax.Var, Lowered] = {}
        #: The variable whose binding is being lowered.
        self.current: relax.Var | None = None
        #: Batch norms that a convolution has taken into its weights.
        self.folded_norms: set[relax.Call] = set()
        #: The only call that reads a variable, for those that are read once.
        self.sole_reader = sole_readers(function)

    def run(self, name: str) -> None:
        """Writes the lowered function `name` into the builder's module; inputs and outputs keep their dtypes."""
        parameters = [relax.Var(p.name, p.ty) for p in self.function.params]
        with self.builder.function(name, parameters):
            with self.builder.dataflow():
                for old, new in zip(self.function.params, parameters, strict=True):
                    self.known[old] = self.tensor(self.values.narrowed(new))
                for block in self.function.body.blocks:
                    for binding in block.bindings:
                        self.current = binding.var
                        self.known[binding.var] = self.lower_binding(binding)
                output = self.builder.emit_output(self.result(self.function.body.body))
            self.builder.emit_func_output(output)

    def lower_binding(self, binding: relax.VarBinding) -> Lowered:
        """The value of one binding."""
        expr = binding.value
        if isinstance(expr, relax.Call):
            handler = HANDLERS.get(getattr(expr.op, "name", ""))
            lowered = handler(self, expr) if handler is not None else None
            return self.keep(expr) if lowered is None else lowered
        if isinstance(expr, relax.TupleGetItem):
            source = self.known[expr.tuple_value]
            if isinstance(source, tuple):
                return source[int(expr.index)]
            assert source.plain is not None
            return self.tensor(self.values.narrowed(self.builder.emit(relax.TupleGetItem(source.plain, expr.index))))
        if isinstance(expr, relax.Tuple):
            return tuple(self.value(field) for field in expr.fields)
        return self.value(expr)

    def keep(self, call: relax.Call) -> Value:
        """The call as it is, on plain values in the dtypes that it was written for."""
        arguments = [self.original(arg) for arg in call.args]
        result = self.builder.emit(relax.Call(call.op, arguments, call.attrs, call.ty_args))
        return self.tensor(self.values.narrowed(result) if isinstance(result.ty, relax.TensorType) else result)

    def original(self, expr: relax.Expr) -> relax.Expr:
        """The plain expression that stands for `expr`, in the dtype that it has in the network."""
        if isinstance(expr, relax.Tuple):
            return relax.Tuple([self.original(field) for field in expr.fields])
        if not isinstance(expr, relax.Var):
            return expr
        known = self.known[expr]
        if isinstance(known, tuple):
            types = expr.ty.fields
            return relax.Tuple([self._as(value, ty) for value, ty in zip(known, types, strict=True)])
        return self._as(known, expr.ty)

    def _as(self, value: Value, ty: Any) -> relax.Expr:
        plain = self.values.plain(value)
        return self.values.cast(plain, str(ty.dtype)) if isinstance(ty, relax.TensorType) else plain

    def result(self, expr: relax.Expr) -> relax.Expr:
        """What the function gives: `expr` in the dtypes of the network's outputs."""
        known = self.known.get(expr) if isinstance(expr, relax.Var) else None
        if isinstance(known, tuple):
            types = expr.ty.fields
            return relax.Tuple([self._as(value, ty) for value, ty in zip(known, types, strict=True)])
        return self.original(expr)

    def value(self, expr: relax.Expr) -> Value:
        """The value of a tensor expression."""
        if isinstance(expr, relax.Var):
            known = self.known[expr]
            if isinstance(known, tuple):
                raise TypeError(f"{expr.name} is a tuple where a tensor is needed")
            return known
        return self.tensor(expr)

    def tensor(self, expr: relax.Expr) -> Value:
        """Wraps an expression of the lowered function, or a constant, which takes the precision at once."""
        if isinstance(expr, tvm.ir.GenericConst):
            array: np.ndarray[Any, Any] = expr.value.numpy()
            if str(array.dtype) in FLOATS:
                array = array.astype(self.precision)
            return self.constant(array)
        if not isinstance(expr.ty, relax.TensorType):
            return Value((), "", plain=expr)
        return Value(static_shape(expr) or (), str(expr.ty.dtype), plain=expr)

    def constant(self, array: np.ndarray[Any, Any]) -> Value:
        """A constant value."""
        return Value(array.shape, str(array.dtype), plain=relax.const(array), constant=array)

    def emit_te(self, name: str, function: Callable[..., object], *tensors: relax.Expr, **options: object) -> relax.Var:
        """Emits a tensor expression as a function of its own, into which elementwise operators behind it may fuse."""
        return self.builder.emit_te(
            functools.partial(function, **options),
            *tensors,
            primfunc_name_hint=name,
            primfunc_attrs={"op_pattern": OUT_ELEMENTWISE_FUSABLE},
        )
