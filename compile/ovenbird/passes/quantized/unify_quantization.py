"""Brings quantized programs, which other tools write in many ways, into the form of `form.py`.

    module = unify_quantization(module)

- int8 activations become uint8, their zero points 128 more: the same numbers.
- What only moves whole numbers (reshapes, transpositions, maximum pools) is written on the floats they stand for, and
  quantized again by the same scale, which is exact: rint(k * s / s) = k.
- Transpositions and reshapes of a constant weight are done to the constant.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tvm
from tvm import IRModule, relax
from tvm.relax.expr_functor import PyExprMutator, mutator

from ovenbird.passes.quantized.form import DEQUANTIZE, OFFSET, QUANTIZE, is_quantized
from ovenbird.passes.rewriting import rewritten
from ovenbird.passes.shapes import static_shape
from ovenbird.passes.share_constants import array_of

MOVES = frozenset(
    f"relax.{name}"
    for name in (
        "expand_dims", "flip", "nn.max_pool1d", "nn.max_pool2d", "nn.max_pool3d", "permute_dims", "repeat", "reshape",
        "squeeze", "strided_slice", "take", "tile",
    )
)  # fmt: skip
"""Operators of one tensor whose results are some of its numbers."""
RESHAPES = frozenset({"relax.expand_dims", "relax.reshape", "relax.squeeze"})


def unify_quantization(module: IRModule) -> IRModule:
    """Return the module in the one form; itself where nothing is quantized."""
    if not is_quantized(module):
        return module
    module = rewritten(module, _Unifier)
    passes = [relax.transform.CanonicalizeBindings(), relax.transform.DeadCodeElimination()]
    return tvm.transform.Sequential(passes)(module)


@mutator
class _Unifier(PyExprMutator):  # type: ignore[misc]
    def __init__(self, module: IRModule) -> None:
        super().__init__(module)
        self.shifted: dict[relax.Var, relax.Var] = {}
        """For a variable of int8: the one of uint8 that stands for it."""

    def visit_call_(self, call: relax.Call) -> relax.Expr:
        call = self.visit_expr_post_order(call)
        name = getattr(call.op, "name", "")
        if name == QUANTIZE and str(call.attrs.out_dtype) == "int8":
            return self._as_unsigned(call)
        if name == DEQUANTIZE:
            data = self._origin(call.args[0])
            if data in self.shifted:
                zero = _raised(call.args[2])
                if zero is not None:
                    return relax.op.dequantize(self.shifted[data], call.args[1], zero, int(call.attrs.axis))
            return call
        if name in MOVES:
            made = self._made(call.args[0])
            if made is not None and made.op.name == DEQUANTIZE and isinstance(made.args[0], tvm.ir.GenericConst):
                moved = _moved_weight(call, made)
                return call if moved is None else moved
            return self._moved(call)
        return call

    def _as_unsigned(self, call: relax.Call) -> relax.Expr:
        """Quantize to uint8, and return what int8 that is, for whoever asks for it."""
        zero = _raised(call.args[2])
        if zero is None:
            return call
        raised = relax.op.quantize(call.args[0], call.args[1], zero, int(call.attrs.axis), "uint8")
        return self._signed(self.builder_.emit(raised))

    def _moved(self, call: relax.Call) -> relax.Expr:
        """Move the floats that quantized numbers stand for."""
        data = self._origin(call.args[0])
        data = self.shifted.get(data, data)
        made = self._made(data)
        if made is None or made.op.name != QUANTIZE or not _of_one_scale(made):
            return call
        scale, zero, emit = made.args[1], made.args[2], self.builder_.emit
        real = emit(relax.op.dequantize(data, scale, zero, 0))
        moved = emit(relax.Call(call.op, [real, *call.args[1:]], call.attrs, call.ty_args))
        result = emit(relax.op.quantize(moved, scale, zero, 0, "uint8"))
        if str(call.ty.dtype.dtype) == "uint8":
            return result
        return self._signed(result)

    def _signed(self, raised: relax.Var) -> relax.Var:
        """Return uint8 as the int8 that it stands for, and remember so."""
        wide = self.builder_.emit(relax.op.astype(raised, "int16"))
        wide = self.builder_.emit(relax.op.subtract(wide, relax.const(OFFSET, "int16")))
        signed: relax.Var = self.builder_.emit(relax.op.astype(wide, "int8"))
        self.shifted[signed] = raised
        return signed

    def _origin(self, expr: relax.Expr) -> relax.Expr:
        """Return the variable that others are names of."""
        while isinstance(expr, relax.Var) and isinstance(bound := self.lookup_binding(expr), relax.Var):
            expr = bound
        return expr

    def _made(self, expr: relax.Expr) -> Any:
        """Return the call of an operator that a variable is bound to, if it is."""
        origin = self._origin(expr)
        bound = self.lookup_binding(origin) if isinstance(origin, relax.Var) else None
        return bound if hasattr(getattr(bound, "op", None), "name") else None


def _raised(zero: relax.Expr) -> relax.Expr | None:
    """Return int8 zero points as those of uint8; None where they are not constant."""
    if not isinstance(zero, tvm.ir.GenericConst):
        return None
    return relax.const((array_of(zero).astype(np.int16) + OFFSET).astype(np.uint8), "uint8")


def _of_one_scale(call: relax.Call) -> bool:
    shapes = [static_shape(parameter) for parameter in call.args[1:3]]
    return all(shape is not None and math.prod(shape) == 1 for shape in shapes)


def _moved_weight(call: relax.Call, made: relax.Call) -> relax.Expr | None:
    """Return a moved weight as a constant that lies so; None where its channels would not be an axis any more."""
    name, axis, one = call.op.name, int(made.attrs.axis), _of_one_scale(made)
    array = array_of(made.args[0])
    if name == "relax.permute_dims":
        axes = [int(place) % array.ndim for place in call.attrs.axes or range(array.ndim - 1, -1, -1)]
        moved, place = array.transpose(axes), axes.index(axis % array.ndim)
    elif name in RESHAPES:
        shape = static_shape(call) or ()
        before = math.prod(array.shape[: axis % array.ndim])
        fitting = [
            at for at, extent in enumerate(shape) if extent == array.shape[axis] and math.prod(shape[:at]) == before
        ]
        if not shape or not (one or fitting):
            return None
        moved, place = array.reshape(shape), fitting[0] if fitting else 0
    else:
        return None
    return relax.op.dequantize(relax.const(np.ascontiguousarray(moved)), *made.args[1:3], 0 if one else place)
