"""Lowering of elementwise maps for a GPU: images stay channels last, transcendental maps are computed in float32.

Example: `x * gate` with x [N, C, H, W] and gate [N, C, 1, 1] is one map of [N, H, W, C] by [N, 1, 1, C].
"""

from __future__ import annotations

import numpy as np
from tvm import relax

from ovenbird.backends.cuda.lowering.context import CudaLowering
from ovenbird.lowering.value import FLOATS, Value
from ovenbird.lowering.walk import Lowered
from ovenbird.passes.shapes import static_shape

NARROW = ("relax.nn.relu", "relax.nn.relu6", "relax.clip", "relax.abs", "relax.negative")
"""Exact, or rounded once, in float16; every other map is computed in float32."""


def lower_unary(lowering: CudaLowering, call: relax.Call) -> Lowered | None:
    """Lower an elementwise map; its further arguments are scalars."""
    data = lowering.value(call.args[0])
    if data.dtype not in FLOATS:
        return None
    image = len(data.shape) == 4 and data.has_image
    expr = lowering.form.image(data) if image else lowering.form.plain(data)
    wide = call.op.name not in NARROW
    operand = lowering.form.cast(expr, "float32") if wide else expr
    result = lowering.builder.emit(relax.Call(call.op, [operand, *call.args[1:]], call.attrs, call.ty_args))
    result = lowering.form.narrowed(result)
    return Value(data.shape, lowering.precision, **{"image" if image else "plain": result})


def lower_binary(lowering: CudaLowering, call: relax.Call) -> Lowered | None:
    """Lower an elementwise map of two values, channels last where one of them is an image in that form."""
    shape = static_shape(call)
    if shape is None or not all(isinstance(arg.ty, relax.TensorType) for arg in call.args):
        return None
    left, right = (lowering.value(arg) for arg in call.args)
    if left.dtype not in FLOATS or right.dtype not in FLOATS:
        return None
    name = call.op.name
    if name == "relax.divide" and right.constant is not None and np.all(right.constant):
        inverse = (1.0 / right.constant.astype(np.float64)).astype(right.dtype)
        if np.all(np.isfinite(inverse)):
            name, right = "relax.multiply", lowering.constant(inverse)
    image = len(shape) == 4 and (left.has_image or right.has_image)
    operands = [image_operand(lowering, v) if image else lowering.form.plain(v) for v in (left, right)]
    if any(operand is None for operand in operands):
        return None
    result = lowering.builder.emit(getattr(relax.op, name.removeprefix("relax."))(*operands))
    return Value(shape, lowering.precision, **{"image" if image else "plain": result})


def image_operand(lowering: CudaLowering, value: Value) -> relax.Expr | None:
    """Return the operand in a form that broadcasts against [N, H, W, C]; None if there is none."""
    if value.constant is not None:
        if value.constant.size == 1:
            return relax.const(value.constant.reshape(()), value.dtype)
        constant = value.constant.reshape((1,) * (4 - value.constant.ndim) + value.constant.shape)
        return lowering.form.image(lowering.constant(constant))
    return lowering.form.image(value) if len(value.shape) == 4 else None
