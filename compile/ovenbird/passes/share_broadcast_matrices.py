"""Multiplies by one matrix where the program repeats it for every element of a batch.

torch exports a linear layer over a transposed tensor (multi-head attention with more than one image) as a batched
product, whose weight is repeated for each row: 197 times 768 x 2304 in ViT-B/16. Its copies would be computed, packed
and written, 1.4 GB a layer.

    x [B, M, K] @ broadcast_to(w [K, N], [B, K, N])    ->    reshape(reshape(x, [B * M, K]) @ w, [B, M, N])

So becomes `x [B, M, K] @ w [K, N]`, as ONNX writes a linear layer, with the bias that is added: the schedules know the
rows of one matrix only.
"""

from __future__ import annotations

import math
from typing import Any

import tvm
from tvm import IRModule, relax
from tvm.relax.expr_functor import PyExprMutator, mutator

from ovenbird.passes.rewriting import rewritten
from ovenbird.passes.shapes import static_shape


@tvm.transform.module_pass(opt_level=0, name="ShareBroadcastMatrices")  # type: ignore[untyped-decorator]
def share_broadcast_matrices(module: IRModule, _: tvm.transform.PassContext) -> IRModule:
    """Return the module with products by repeated matrices as products by the matrix itself."""
    return rewritten(module, _Sharing)


@mutator
class _Sharing(PyExprMutator):  # type: ignore[misc]
    def visit_call_(self, call: relax.Call) -> relax.Expr:
        call = self.visit_expr_post_order(call)
        name = getattr(call.op, "name", "")
        if name == "relax.add":
            return self._with_bias(call)
        if name != "relax.matmul":
            return call
        left, right = call.args
        shapes = static_shape(left), static_shape(right)
        if shapes[0] is None or shapes[1] is None:
            return call
        alone = len(shapes[1]) == 2 and math.prod(shapes[0][:-2]) > 1
        matrix = right if alone else self._matrix(right)
        if matrix is None or not (alone or shapes[0][:-2] == shapes[1][:-2]):
            return call
        # As one matrix of all rows, which is how the schedules want them.
        rows, inner = math.prod(shapes[0][:-1]), shapes[0][-1]
        flat = self.builder_.emit(relax.op.reshape(left, (rows, inner)))
        product = self.builder_.emit(relax.op.matmul(flat, matrix, out_dtype=call.attrs.out_dtype or None))
        return relax.op.reshape(product, (*shapes[0][:-1], shapes[1][-1]))

    def _with_bias(self, call: relax.Call) -> relax.Expr:
        """Add what has one number a column before the rows are parted again, where it fuses."""
        for product, bias in (call.args, reversed(call.args)):
            parted = self._made(product)
            if parted is None or parted.op.name != "relax.reshape" or len(static_shape(bias) or ()) != 1:
                continue
            rows = parted.args[0]
            made, shapes = self._made(rows), (static_shape(rows) or (), static_shape(product) or ())
            if made is None or made.op.name != "relax.matmul" or len(shapes[0]) != 2:
                continue
            if shapes[0][-1:] == shapes[1][-1:]:
                return relax.op.reshape(self.builder_.emit(relax.op.add(rows, bias)), static_shape(call))
        return call

    def _made(self, expr: relax.Expr) -> Any:
        """Return the call of an operator that a variable is bound to, if it is."""
        bound = self.lookup_binding(expr) if isinstance(expr, relax.Var) else None
        return bound if hasattr(getattr(bound, "op", None), "name") else None

    def _matrix(self, expr: relax.Expr) -> relax.Expr | None:
        """Return the one matrix that `expr` repeats along its leading axes, None where it is not known to."""
        repeats = False
        while isinstance(expr, relax.Var):
            bound = self.lookup_binding(expr)
            name, shape = getattr(getattr(bound, "op", None), "name", ""), static_shape(expr)
            if shape is None or name not in ("relax.broadcast_to", "relax.reshape", "relax.expand_dims"):
                break
            inner = static_shape(bound.args[0])
            if inner is None or len(inner) < 2 or inner[-2:] != shape[-2:]:
                break
            if any(dim != 1 for dim in inner[:-2]) and inner != shape:
                break
            repeats = repeats or name == "relax.broadcast_to"
            expr = bound.args[0]
            if len(inner) == 2:
                return expr if repeats else None
        return None
