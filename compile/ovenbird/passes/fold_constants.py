"""Computes what does not depend on an input, once, when a network is compiled.

    y = permute_dims(reshape(weight, ...))       ->      y = constant

TVM's pass builds a function by LLVM for each operator and shape that it folds, some 90 ms each, which was a third of
the time of a small network. What most networks have (rearranged weights, sums of indices) is computed by numpy instead,
where its result has the same bits: moved data, whole numbers, and IEEE 754's exactly rounded operations. TVM folds the
rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import tvm
from tvm import IRModule, relax
from tvm.relax.expr_functor import PyExprMutator, mutator

from ovenbird.passes.rewriting import rewritten
from ovenbird.passes.shapes import static_shape
from ovenbird.passes.share_constants import array_of, constant_of
from ovenbird_runtime.tensors.arrays import Array

Folded: TypeAlias = "Callable[[relax.Call, list[Array]], Array | None]"

VIEWS = ("relax.reshape", "relax.expand_dims", "relax.squeeze", "relax.flatten")
"""What moves no data: the result shares the constant's memory."""
EXACT = ("float32", "float64", "int32", "int64", "bool")
"""The dtypes whose arithmetic is the same in numpy as in the code that TVM makes."""


@tvm.transform.module_pass(opt_level=0, name="FoldConstants")  # type: ignore[untyped-decorator]
def fold_constants(module: IRModule, _: tvm.transform.PassContext) -> IRModule:
    """Return the module with calls on constants as constants: by numpy where there is a rule, by TVM otherwise."""
    folded = rewritten(module, _Folding)
    # TVM's pass makes code of operators that it does not fold in the end, and warns the user of some of them.
    return relax.transform.FoldConstant()(folded) if _foldable(folded) else folded


def _foldable(module: IRModule) -> bool:
    """Return whether an operator is left whose inputs are all known."""
    found: list[bool] = []

    def visit(node: Any) -> None:
        if isinstance(node, relax.Call) and isinstance(node.op, tvm.ir.Op):
            found.append(all(_is_known(one) for one in node.args))

    for function in module.functions.values():
        if isinstance(function, relax.Function):
            relax.analysis.post_order_visit(function, visit)
    return any(found)


def _is_known(value: Any) -> bool:
    if isinstance(value, relax.Tuple):
        return all(_is_known(field) for field in value.fields)
    return not isinstance(value, (relax.Var, relax.Call, relax.TupleGetItem))


def _take(call: relax.Call, given: list[Array]) -> Array | None:
    data, places = given
    axis = 0 if call.attrs.axis is None else int(call.attrs.axis)
    if (call.attrs.axis is None and data.ndim != 1) or places.dtype.kind != "i":
        return None
    if places.size and (places.min() < 0 or places.max() >= data.shape[axis]):
        return None  # what is taken there is not numpy's to say
    return np.take(data, places, axis=axis)


def _sliced(call: relax.Call, given: list[Array]) -> Array | None:
    try:
        axes, *bounds = ([int(one.value) for one in words.fields] for words in call.args[1:])
    except (AttributeError, TypeError, ValueError):
        return None
    begin, end, *strides = bounds
    steps = strides[0] if strides else [1] * len(axes)
    if any(step <= 0 for step in steps):
        return None
    window = [slice(None)] * given[0].ndim
    for axis, *bound in zip(axes, begin, end, steps, strict=True):
        window[axis] = slice(*bound)
    return given[0][tuple(window)]


def _converted(call: relax.Call, given: list[Array]) -> Array | None:
    dtype = str(call.ty.dtype)
    exact = dtype in EXACT and (given[0].dtype.kind != "f" or dtype.startswith("float"))
    return given[0].astype(dtype) if exact else None


def _ufunc(function: Any, kinds: str = "fib") -> Folded:
    def folded(call: relax.Call, given: list[Array]) -> Array | None:
        if any(str(one.dtype) not in EXACT or one.dtype.kind not in kinds for one in given):
            return None
        with np.errstate(all="ignore"):
            return np.asarray(function(*given))

    return folded


FOLDED: dict[str, Folded] = {
    "relax.permute_dims": lambda call, given: np.transpose(given[0], call.attrs.axes and [*map(int, call.attrs.axes)]),
    "relax.concat": lambda call, given: np.concatenate(given, int(call.attrs.axis or 0)),
    "relax.stack": lambda call, given: np.stack(given, int(call.attrs.axis or 0)),
    "relax.full": lambda call, given: np.full(static_shape(call) or (), given[0]),
    "relax.broadcast_to": lambda call, given: np.broadcast_to(given[0], static_shape(call) or ()),
    "relax.take": _take,
    "relax.strided_slice": _sliced,
    "relax.astype": _converted,
    "relax.where": lambda call, given: np.where(*given) if given[0].dtype.kind == "b" else None,
    "relax.add": _ufunc(np.add, "fi"),
    "relax.subtract": _ufunc(np.subtract, "fi"),
    "relax.multiply": _ufunc(np.multiply, "fi"),
    "relax.divide": _ufunc(np.divide, "f"),
    "relax.sqrt": _ufunc(np.sqrt, "f"),
    "relax.maximum": _ufunc(np.maximum, "i"),  # of numbers that may be NaN, TVM's
    "relax.minimum": _ufunc(np.minimum, "i"),
    "relax.less": _ufunc(np.less),
    "relax.less_equal": _ufunc(np.less_equal),
    "relax.greater": _ufunc(np.greater),
    "relax.greater_equal": _ufunc(np.greater_equal),
    "relax.equal": _ufunc(np.equal),
    "relax.not_equal": _ufunc(np.not_equal),
    "relax.logical_not": _ufunc(np.logical_not, "b"),
    "relax.logical_and": _ufunc(np.logical_and, "b"),
    "relax.logical_or": _ufunc(np.logical_or, "b"),
}
"""How numpy computes an operator from its tensors; None where this call is not to be."""


@mutator
class _Folding(PyExprMutator):  # type: ignore[misc]
    def visit_var_(self, var: relax.Var) -> relax.Expr:
        return self._known(super().visit_var_(var))

    def visit_dataflow_var_(self, var: relax.DataflowVar) -> relax.Expr:
        return self._known(super().visit_dataflow_var_(var))

    def _known(self, var: relax.Expr) -> relax.Expr:
        bound = self.lookup_binding(var) if isinstance(var, relax.Var) else None
        return bound if isinstance(bound, tvm.ir.GenericConst) else var

    def visit_call_(self, call: relax.Call) -> relax.Expr:
        call = self.visit_expr_post_order(call)
        name, shape = getattr(call.op, "name", ""), static_shape(call)
        if shape is None or not (name in VIEWS or name in FOLDED):
            return call
        tensors = call.args[0].fields if isinstance(call.args[0], relax.Tuple) else call.args
        tensors = [one for one in tensors if not isinstance(one, (relax.ShapeExpr, relax.Tuple))]
        if not tensors or not all(isinstance(one, tvm.ir.GenericConst) for one in tensors):
            return call
        if name in VIEWS:
            held = tensors[0].value
            return relax.const(held._create_view(shape)) if math.prod(shape) else call
        arrays = [array_of(one) for one in tensors]
        found = FOLDED[name](call, arrays) if all(one.dtype.kind in "fiub" for one in arrays) else None
        if found is None or found.shape != shape or str(found.dtype) != str(call.ty.dtype):
            return call
        return constant_of(found)
