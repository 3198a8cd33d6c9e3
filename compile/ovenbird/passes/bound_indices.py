"""Indices that come from a network's inputs stay inside their tensor, whatever the caller sends.

    module = bound_indices(module)

TVM's gathers and scatters trust their indices: an id of 999 in an embedding of 50 rows reads foreign memory.
Here a negative index counts from the end, as in torch and in ONNX, and one out of range, an error in both, is held at
the first or the last element: a wrong answer to a wrong question, but no process ends and no foreign memory is touched.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tvm
from tvm import relax
from tvm.relax.expr_functor import PyExprMutator, mutator

from ovenbird.passes.rewriting import rewritten
from ovenbird.passes.shapes import static_shape

ALONG_AXIS = ("relax.gather_elements", "relax.scatter_elements")
BY_VECTORS = ("relax.gather_nd", "relax.scatter_nd")
BY_TENSORS = ("relax.index_tensor", "relax.index_put")
WIDE = ("int32", "int64")


def bound_indices(module: tvm.IRModule) -> tvm.IRModule:
    """Return the module with every index brought into range."""
    return rewritten(module, _Bound)


@mutator
class _Bound(PyExprMutator):  # type: ignore[misc]
    """Rewrites the calls that index."""

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
        dims = static_shape(call.args[0])
        indices = call.args[1]
        axis = None if call.attrs.axis is None else int(call.attrs.axis)
        if dims is None or not isinstance(getattr(indices, "ty", None), relax.TensorType):
            return relax.op.take(call.args[0], indices, axis, mode="wrap")
        extent = math.prod(dims) if axis is None else dims[axis]
        return relax.op.take(call.args[0], self._held(indices, extent), axis, mode="clip")

    def _bounded(self, kind: str, call: Any) -> Any:
        """Return the call's second argument brought into range; None where nothing is to be done."""
        dims = static_shape(call.args[0])
        indices = call.args[1]
        if dims is None:
            return None
        if kind in ALONG_AXIS:
            axis = int(call.attrs.axis) % len(dims)
            return self._held(indices, dims[axis])
        if kind in BY_VECTORS:
            shape = static_shape(indices)
            # a gather along batch dimensions indexes the dimensions after them
            first = int(getattr(call.attrs, "batch_dims", 0) or 0)
            return None if shape is None else self._held(indices, dims[first : first + shape[-1]])
        if not isinstance(indices, relax.Tuple):
            return None
        return relax.Tuple([self._held(index, dim) for index, dim in zip(indices.fields, dims, strict=False)])

    def _held(self, indices: Any, dim: int | tuple[int, ...]) -> Any:
        """Return the indices counted from the start of their dimension, and held inside it."""
        dtype = str(indices.ty.dtype)
        if dtype.endswith("bool"):  # a mask
            return indices
        if isinstance(indices, tvm.ir.GenericConst):
            array = indices.value.numpy().astype(np.int64)
            extents = np.array(dim, np.int64)
            held = np.clip(np.where(array < 0, array + extents, array), 0, extents - 1)
            return relax.const(held, "int32" if isinstance(dim, int) else "int64")  # vectors are int64 to Relax
        emit = self.builder_.emit
        if dtype not in WIDE:  # 300 rows are more than an int8 can say
            indices, dtype = emit(relax.op.astype(indices, "int64")), "int64"
        extent = relax.const(np.array(dim, dtype=dtype), dtype)
        zero, one = relax.const(0, dtype), relax.const(1, dtype)
        from_end = emit(relax.op.add(indices, extent))
        counted = emit(relax.op.where(emit(relax.op.less(indices, zero)), from_end, indices))
        last = emit(relax.op.subtract(extent, one))
        return emit(relax.op.minimum(emit(relax.op.maximum(counted, zero)), last))
