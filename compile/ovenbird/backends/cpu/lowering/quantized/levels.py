"""Lowering of quantize and dequantize, and of operators that move levels without a look at them.

A dequantized tensor is a promise: an operator that takes levels reads those, any other has floats made of them, in its
own kernel. Between equal grids (scale and zero) a pooling by maxima, a concatenation, a transposition work on levels.

Example: `quantize(max_pool2d(dequantize(q)))` on one grid is a pooling of uint8.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax

from ovenbird.backends.cpu.lowering.context import CpuLowering
from ovenbird.backends.cpu.lowering.movements.reshape import reshaped, source
from ovenbird.backends.cpu.lowering.quantized.sums import Sums
from ovenbird.lowering.value import Levels, Value
from ovenbird.lowering.walk import Lowered
from ovenbird.operators.quantized import rounding
from ovenbird.passes.shapes import static_shape
from ovenbird_runtime.tensors.arrays import Array

BLOCKED = ("relax.nn.max_pool2d", "relax.image.resize2d")
"""Operators that want an image in blocks."""


def grid_of(lowering: CpuLowering, call: relax.Call) -> tuple[Array, int] | None:
    """Return scale and zero of a quantize or dequantize with one for the whole tensor."""
    scale, zero = (lowering.value(arg).constant for arg in call.args[1:3])
    if scale is None or zero is None or scale.size != 1 or zero.size != 1:
        return None
    return np.float32(scale.reshape(())), int(zero.reshape(()))


def lower_dequantize(lowering: CpuLowering, call: relax.Call) -> Lowered | None:
    """Lower the dequantization of uint8: nothing is computed yet."""
    data, grid = lowering.value(call.args[0]), grid_of(lowering, call)
    if grid is None or data.dtype != "uint8" or str(call.ty.dtype) != "float32":
        return None
    return Value(data.shape, "float32", levels=Levels(data, *grid))


def lower_quantize(lowering: CpuLowering, call: relax.Call) -> Lowered | None:
    """Lower the quantization to uint8, the end of the kernel that computes its input."""
    data, grid, shape = lowering.value(call.args[0]), grid_of(lowering, call), static_shape(call)
    if grid is None or shape is None or str(call.ty.dtype) != "uint8" or data.dtype != "float32":
        return None
    return emit_quantize(lowering, data, *grid)


def emit_quantize(lowering: CpuLowering, data: Value, scale: Array, zero: int) -> Value:
    """Return a value of floats as one of levels."""
    if data.levels is not None and data.constant is None and data.levels.same_grid(Levels(data, scale, zero)):
        return data.levels.value
    if isinstance(data.pending, Sums):
        return data.pending.emit_levels(lowering.form, data.shape, float(scale), zero)
    if data.has_image:
        return Value(data.shape, "uint8", image=_quantized(lowering, lowering.form.image(data), scale, zero))
    plain = source(lowering, lowering.form.plain(data))
    grid = relax.const(np.float32(scale)), relax.const(np.float32(zero))
    levels = lowering.builder.emit_te(rounding.quantize_by, plain, *grid, primfunc_name_hint="quantize")
    return Value(data.shape, "uint8", plain=reshaped(lowering, levels, data.shape))


def _quantized(lowering: CpuLowering, tensor: relax.Expr, scale: Array, zero: int) -> relax.Expr:
    return lowering.builder.emit_te(rounding.quantize, tensor, float(scale), zero, primfunc_name_hint="quantize")


def move_levels(lowering: CpuLowering, call: relax.Call) -> Lowered | None:
    """Lower an operator that moves elements, or takes the largest of some, on the levels themselves."""
    argument = call.args[0]
    tensor = isinstance(argument.ty, relax.TensorType)
    values = [lowering.value(argument)] if tensor else lowering.parts(argument)
    found = [value.levels for value in values if value.levels is not None and value.constant is None]
    if not found or len(found) < len(values):
        return move_constant(lowering, call, values)
    grid = found[0]
    if not all(grid.same_grid(other) for other in found):
        asked = next_grid(lowering)
        if asked is None:
            return None
        moved = [emit_quantize(lowering, value, *asked) for value in values]
        grid = Levels(moved[0], *asked)
    else:
        moved = [one.value for one in found]
    if len(moved[0].shape) == 4 and (call.op.name in BLOCKED or any(value.has_image for value in moved)):
        for value in moved:
            lowering.form.image(value)
    result = lower_with(lowering, call, argument, moved)
    return result and wrapped(result, grid)


def next_grid(lowering: CpuLowering) -> tuple[Array, int] | None:
    """Return the grid of what is lowered now, if all that reads it is a quantization."""
    reader = lowering.sole_reader.get(lowering.current)
    if reader is None or getattr(reader.op, "name", "") != "relax.quantize" or str(reader.ty.dtype) != "uint8":
        return None
    return grid_of(lowering, reader)


def lower_with(lowering: CpuLowering, call: relax.Call, argument: relax.Expr, values: list[Value]) -> Lowered | None:
    """Lower the call with other values in the place of its first argument's."""
    if isinstance(argument, relax.Var):
        known: dict[Any, Lowered] = {
            argument: values[0] if isinstance(argument.ty, relax.TensorType) else tuple(values)
        }
    elif all(isinstance(field, relax.Var) for field in argument.fields):
        known = dict(zip(argument.fields, values, strict=True))
    else:
        return None
    before = {name: lowering.known[name] for name in known}
    lowering.known.update(known)
    try:
        return lowering.lower_call(call)
    finally:
        lowering.known.update(before)


def wrapped(result: Lowered, grid: Levels) -> Lowered:
    """Return values of levels as the floats that they stand for."""
    if isinstance(result, tuple):
        return tuple(Value(one.shape, "float32", levels=Levels(one, grid.scale, grid.zero)) for one in result)
    return Value(result.shape, "float32", levels=Levels(result, grid.scale, grid.zero))


def move_constant(lowering: CpuLowering, call: relax.Call, values: list[Value]) -> Value | None:
    """Reshape or transpose constant weights, their levels and scales with them."""
    shape, name = static_shape(call), call.op.name
    weight = values[0]
    if (
        shape is None
        or weight.levels is None
        or weight.constant is None
        or not name.endswith(("reshape", "permute_dims"))
    ):
        return None

    def moved(array: Array) -> Array:
        if name == "relax.reshape":
            return np.ascontiguousarray(array).reshape(shape)
        axes = call.attrs.axes
        turned: Array = array.transpose(None if axes is None else [int(axis) for axis in axes])
        return turned

    levels = weight.levels.value.constant
    assert levels is not None
    scale = one_axis(moved(np.broadcast_to(weight.levels.scale, levels.shape)))
    result = lowering.constant(np.ascontiguousarray(moved(weight.constant)))
    if scale is not None:
        result.levels = Levels(Value(shape, "int8", constant=np.ascontiguousarray(moved(levels))), scale)
    return result


def one_axis(array: Array) -> Array | None:
    """Return the part of an array along the one axis on which alone its numbers depend; None if there is none."""
    for axis in range(array.ndim):
        part = array[tuple(slice(None) if place == axis else slice(0, 1) for place in range(array.ndim))]
        if np.array_equal(np.broadcast_to(part, array.shape), array):
            return np.ascontiguousarray(part)
    return None
