"""Indices that come from a network's inputs stay inside their tensor, whatever the caller sends.

    module = bound_indices(module)

TVM's gathers and scatters trust their indices: an id of 999 in an embedding of 50 rows reads foreign memory.
Here every index that is not a constant is taken modulo the dimension it indexes. That is also what a negative
index means in torch and in ONNX; an index out of range, an error in torch, wraps around and ends no process.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tvm
from tvm import relax
from tvm.relax.expr_functor import PyExprMutator, mutator

from ovenbird.passes.shapes import static_shape

ALONG_AXIS = ("relax.gather_elements", "relax.scatter_elements")
BY_VECTORS = ("relax.gather_nd", "relax.scatter_nd")
BY_TENSORS = ("relax.index_tensor", "relax.index_put")


def bound_indices(module: tvm.IRModule) -> tvm.IRModule:
    """Return the module with every index that is computed or given brought into range."""
    for name, function in module.functions_items():
        if isinstance(function, relax.Function):
            module = _Bound(module).replace(name, function)
    return module


@mutator
class _Bound(PyExprMutator):  # type: ignore[misc]
    """Rewrites the calls that index."""

    def replace(self, name: Any, function: Any) -> tvm.IRModule:
        self.builder_.update_func(name, self.visit_expr(function))
        return self.builder_.get()

    def visit_call_(self, call: Any) -> Any:
        call = self.visit_expr_post_order(call)
        kind = getattr(call.op, "name", "")
        if kind == "relax.take":
            return self._take(call)
        if kind in ALONG_AXIS + BY_VECTORS + BY_TENSORS:
            indices = self._bounded(kind, call)
            if indices is not None:
                args = [call.args[0], indices, *call.args[2:]]
                return relax.Call(call.op, args, call.attrs, call.ty_args)
        return call

    def _take(self, call: Any) -> Any:
        if call.attrs.mode != "fast":
            return call
        axis = None if call.attrs.axis is None else int(call.attrs.axis)
        return relax.op.take(call.args[0], call.args[1], axis, mode="wrap")

    def _bounded(self, kind: str, call: Any) -> Any:
        """Return the call's second argument brought into range; None where nothing is to be done."""
        dims = static_shape(call.args[0])
        indices = call.args[1]
        if dims is None or isinstance(indices, tvm.ir.GenericConst):
            return None
        if kind in ALONG_AXIS:
            axis = int(call.attrs.axis) % len(dims)
            return self._wrapped(indices, dims[axis])
        if kind in BY_VECTORS:
            shape = static_shape(indices)
            # a gather along batch dimensions indexes the dimensions after them
            first = int(getattr(call.attrs, "batch_dims", 0) or 0)
            return None if shape is None else self._wrapped(indices, dims[first : first + shape[-1]])
        if not isinstance(indices, relax.Tuple):
            return None
        return relax.Tuple(
            [
                index if isinstance(index, tvm.ir.GenericConst) else self._wrapped(index, dim)
                for index, dim in zip(indices.fields, dims, strict=False)
            ]
        )

    def _wrapped(self, indices: Any, dim: int | tuple[int, ...]) -> Any:
        dtype = str(indices.ty.dtype)
        if dtype.endswith("bool"):  # a mask
            return indices
        return self.builder_.emit(relax.op.floor_mod(indices, relax.const(np.array(dim, dtype=dtype), dtype)))
