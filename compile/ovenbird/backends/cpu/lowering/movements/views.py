"""Follows a tensor back through copies that only move elements: what a function reads in place, nobody has to copy.

Example: ViT's keys are the product with the joint weights, reshaped, permuted and indexed; attention reads the product.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import tvm
from tvm import relax, te, topi

from ovenbird.backends.cpu.lowering.context import CpuLowering
from ovenbird.passes.shapes import static_shape

Movement = Callable[[te.Tensor], te.Tensor]


@dataclass(frozen=True)
class View:
    """`source` seen through `steps`, first one first, then multiplied by `scale`."""

    source: relax.Expr
    steps: tuple[Movement, ...]
    scale: float

    def apply(self, tensor: te.Tensor) -> te.Tensor:
        """Return the view of the tensor that stands for the source (without the scale)."""
        for step in self.steps:
            tensor = step(tensor)
        return tensor


def scalar(expr: relax.Expr) -> float | None:
    """Return the value of a constant of one element."""
    if not isinstance(expr, tvm.ir.GenericConst):
        return None
    array = expr.value.numpy()
    return float(array.reshape(())) if array.size == 1 else None


def trace_view(lowering: CpuLowering, expr: relax.Expr) -> View:
    """Return the view that `expr` of the original function is of a tensor computed before."""
    steps: list[Movement] = []
    scale = 1.0
    while isinstance(expr, relax.Var):
        call = lowering.definitions.get(expr)
        if not isinstance(call, relax.Call):
            break
        name = getattr(call.op, "name", "")
        if name in ("relax.multiply", "relax.divide") and (factor := scalar(call.args[1])) is not None and factor:
            if static_shape(call) != static_shape(call.args[0]):
                break
            scale *= factor if name == "relax.multiply" else 1.0 / factor
        else:
            step = movement(call, name)
            if step is None:
                break
            steps.append(step)
        expr = call.args[0]
    return View(expr, tuple(reversed(steps)), scale)


def movement(call: relax.Call, name: str) -> Movement | None:
    """Return the call as a tensor expression, if it moves elements and does nothing else."""
    shape = static_shape(call)
    before = static_shape(call.args[0]) if call.args else None
    if shape is None or before is None:
        return None
    if name in ("relax.reshape", "relax.expand_dims", "relax.squeeze", "relax.flatten"):
        return lambda tensor: tensor if tuple(int(e) for e in tensor.shape) == shape else topi.reshape(tensor, shape)
    if name == "relax.broadcast_to":
        return (lambda tensor: tensor) if before == shape else (lambda tensor: topi.broadcast_to(tensor, shape))
    if name == "relax.permute_dims":
        axes = call.attrs.axes
        order = [int(axis) for axis in axes] if axes is not None else list(reversed(range(len(before))))
        return lambda tensor: topi.transpose(tensor, order)
    if name == "relax.take" and call.attrs.axis is not None:
        position, axis = scalar(call.args[1]), int(call.attrs.axis) % len(before)
        if position is None or len(shape) != len(before) - 1:
            return None
        index = int(position) % before[axis]
        return lambda tensor: te.compute(
            shape, lambda *at: tensor.__getitem__((*at[:axis], index, *at[axis:])), name="taken"
        )
    return None
