"""Writes an instance norm of several images as what it is: a group norm of groups of one channel.

torch exports it over one image of N * C channels, between two reshapes, which would take images out of their blocks:

    x [N, C, H, W]  ->  [1, N * C, H, W]  ->  instance norm, gamma and beta tiled N times  ->  [N, C, H, W]
        is the group norm of x, gamma and beta in C groups
"""

from __future__ import annotations

import numpy as np
import tvm
from tvm import IRModule, relax
from tvm.relax.expr_functor import PyExprMutator, mutator

from ovenbird.passes.rewriting import rewritten
from ovenbird.passes.shapes import static_shape


@tvm.transform.module_pass(opt_level=0, name="JoinInstanceNorms")  # type: ignore[untyped-decorator]
def join_instance_norms(module: IRModule, _: tvm.transform.PassContext) -> IRModule:
    """Return the module with instance norms of several images as group norms."""
    return rewritten(module, _Joining)


@mutator
class _Joining(PyExprMutator):  # type: ignore[misc]
    def visit_call_(self, call: relax.Call) -> relax.Expr:
        call = self.visit_expr_post_order(call)
        if getattr(call.op, "name", "") != "relax.reshape":
            return call
        norm = self._call(call.args[0], "relax.nn.instance_norm")
        inner = None if norm is None else self._call(norm.args[0], "relax.reshape")
        shape = static_shape(call)
        if norm is None or inner is None or shape is None or len(shape) < 3 or int(norm.attrs.channel_axis) != 1:
            return call
        spatial = list(range(2, len(shape)))
        if static_shape(inner.args[0]) != shape or static_shape(inner) != (1, shape[0] * shape[1], *shape[2:]):
            return call
        scales = [once(argument, shape[1]) for argument in norm.args[1:3]]
        if [int(axis) for axis in norm.attrs.axes if int(axis)] != spatial or scales[0] is None or scales[1] is None:
            return call
        epsilon = float(norm.attrs.epsilon)
        return relax.op.nn.group_norm(inner.args[0], *scales, shape[1], 1, spatial, epsilon)

    def _call(self, expr: relax.Expr, name: str) -> relax.Call | None:
        """Return the call to the operator `name` that a variable is bound to, None where it is bound to another."""
        bound = self.lookup_binding(expr) if isinstance(expr, relax.Var) else None
        return bound if getattr(getattr(bound, "op", None), "name", "") == name else None


def once(expr: relax.Expr, size: int) -> relax.Expr | None:
    """Return a constant that repeats its first `size` elements, as those; None for any other."""
    if not isinstance(expr, tvm.ir.GenericConst):
        return None
    array = expr.value.numpy()
    first = array[:size]
    return relax.const(first) if np.array_equal(np.tile(first, array.size // size), array) else None
