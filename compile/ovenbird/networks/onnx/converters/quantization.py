"""Eight-bit numbers: as `relax.quantize` and `relax.dequantize` around operators of float32 where scales are constant,
which is what compiles to integers; else computed in float32 or in 32 bits, right and no faster than float32.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from tvm import relax, tirx

from ovenbird.networks.onnx.converters.layers.convolutions import convolution
from ovenbird.networks.onnx.converters.layers.matrices import matmul
from ovenbird.networks.onnx.converters.maps.elementwise import elementwise
from ovenbird.networks.onnx.dtypes import computed, element_dtype
from ovenbird.networks.onnx.node import Node, OnnxConverter, OnnxValue, as_expression, dtype_of
from ovenbird.passes.quantized.form import kept_weight, levels, reals

INTEGERS = ("int8", "uint8", "int16", "uint16", "int32")


def saturated(node: Node, data: relax.Expr, dtype: str) -> relax.Expr:
    """Return numbers rounded, halves to even, and held within a whole dtype."""
    limits: Any = np.iinfo(dtype)
    rounded = elementwise(node, tirx.nearbyint, data)
    held = node.emit(relax.op.clip(rounded, float(limits.min), float(limits.max)))
    return relax.op.astype(held, dtype)


def aligned(node: Node, index: int) -> OnnxValue:
    """Return a scale or zero point in the shape of the data: one for all, one a channel, or one a block."""
    shape, own, value = node.shape(0), node.shape(index), node.inputs[index]
    known = isinstance(value, np.ndarray)
    if len(own) < 2:
        if not own or not shape:
            return value
        axis = node.attribute("axis", 1) % len(shape) if own != (1,) else 0
        wanted = [own[0] if place == axis else 1 for place in range(len(shape))]
        return value.reshape(wanted) if known else node.emit(relax.op.reshape(value, wanted))
    axis = node.attribute("axis", 1) % len(shape)
    block = node.attribute("block_size", 0) or -(-shape[axis] // own[axis])
    places = np.arange(shape[axis]) // block
    return value.take(places, axis) if known else node.take(value, places, axis)


def in_dtype(node: Node, value: OnnxValue, dtype: str) -> OnnxValue:
    """Return a value in another dtype; a constant at once, for TVM builds a library for each that it folds."""
    if dtype_of(value) == dtype:
        return value
    return value.astype(dtype) if isinstance(value, np.ndarray) else node.emit(relax.op.astype(value, dtype))


def scale_of(node: Node, index: int) -> Any:
    """Return a constant scale and its zero point as float32 and whole numbers; None where one is computed, or there is
    one a block.
    """
    scale, zero = node.known(index), node.known(index + 1)
    if scale is None or scale.ndim > 1 or scale.dtype != np.float32 or (zero is None and node.has(index + 1)):
        return None
    if not (np.isfinite(scale) & (scale > 0)).all():
        return None
    zero = np.zeros(scale.shape, np.int64) if zero is None else zero.astype(np.int64)
    return None if zero.shape != scale.shape else (scale, zero)


def dequantize(node: Node) -> OnnxValue:
    """`DequantizeLinear`: (x - zero point) * scale."""
    found, data = scale_of(node, 1), node.inputs[0]
    if found is not None and dtype_of(data) in ("int8", "uint8"):
        if isinstance(data, np.ndarray):
            scales, zeros = found
            kept = kept_weight(data, scales, zeros, node.attribute("axis", 1))
            if kept is not None:
                return kept
        elif found[0].size == 1:
            return reals(data, found[0].item(), found[1].item())
    scale = aligned(node, 1)
    dtype = dtype_of(scale)
    values = [in_dtype(node, node.inputs[0], dtype)]
    values += [in_dtype(node, aligned(node, 2), dtype)] if node.has(2) else []
    if all(isinstance(value, np.ndarray) for value in (scale, *values)):
        return (values[0] - values[1] if node.has(2) else values[0]) * scale
    data, *zero = map(as_expression, values)
    if zero:
        data = node.emit(relax.op.subtract(data, *zero))
    return relax.op.multiply(data, as_expression(scale))


def quantize(node: Node) -> relax.Expr:
    """`QuantizeLinear`: x / scale + zero point, rounded and held in the zero point's dtype."""
    wanted = node.attribute("output_dtype", 0)
    dtype = node.dtype(2) if node.has(2) else computed(element_dtype(wanted)).name if wanted else "uint8"
    if dtype not in INTEGERS:
        raise node.refuse(f"it quantizes to {dtype}; known are {', '.join(INTEGERS)}")
    found = scale_of(node, 1)
    data = as_expression(in_dtype(node, node.inputs[0], "float32"))
    if found is not None and dtype in ("int8", "uint8") and found[0].size == 1:
        return levels(data, found[0].item(), found[1].item(), dtype)
    scale = as_expression(in_dtype(node, aligned(node, 1), "float32"))
    rounded = elementwise(node, tirx.nearbyint, node.emit(relax.op.divide(data, scale)))
    if node.has(2):
        zero = in_dtype(node, aligned(node, 2), "float32")
        rounded = node.emit(relax.op.add(rounded, as_expression(zero)))
    return saturated(node, rounded, dtype)


def shifted(node: Node, index: int, zero: int, dtype: str, axis: int | None = None) -> relax.Expr:
    """Return an input less its zero point, which may be one a row (`axis`), in a wider dtype."""
    data = node.emit(relax.op.astype(node.tensor(index), dtype))
    if not node.has(zero):
        return data
    value, rank = node.emit(relax.op.astype(node.tensor(zero), dtype)), len(node.shape(index))
    if len(node.shape(zero)) == 1 and node.shape(zero) != (1,):
        at = (rank - 1 if axis is None else axis) % rank
        value = node.emit(relax.op.reshape(value, [-1 if place == at else 1 for place in range(rank)]))
    return node.emit(relax.op.subtract(data, value))


def matmul_integer(node: Node) -> relax.Expr:
    """`MatMulInteger`, in 32 bits."""
    return relax.op.matmul(shifted(node, 0, 2, "int32", -2), shifted(node, 1, 3, "int32", -1))


def convolution_integer(node: Node) -> relax.Expr:
    """`ConvInteger`, in 32 bits."""
    inner = replace(node, inputs=[shifted(node, 0, 2, "int32"), shifted(node, 1, 3, "int32", 0)])
    return convolution(inner)


def of_floats(node: Node, inputs: list[Any], operator: OnnxConverter, scale: int, zero: int) -> relax.Expr:
    """Return a quantized operator: computed in float32, then quantized."""
    result = node.emit(operator(replace(node, inputs=inputs)))
    ends = [node.inputs[index] if node.has(index) else None for index in (scale, zero)]
    return quantize(replace(node, inputs=[result, *ends], attributes={}))


def dequantized(node: Node, data: int, scale: int, zero: int, axis: int) -> OnnxValue:
    """Return inputs `data`, `scale`, `zero` as float32, per channel along the axis."""
    inputs = [node.inputs[index] for index in (data, scale, zero)]
    found = dequantize(replace(node, inputs=inputs, attributes={"axis": axis}))
    return in_dtype(node, found if isinstance(found, np.ndarray) else node.emit(found), "float32")


def bias_of(node: Node, index: int) -> OnnxValue:
    """Return a bias as float32: it is in units of the product of both scales."""
    bias, *scales = in_dtype(node, node.inputs[index], "float32"), node.inputs[1], node.inputs[4]
    if all(isinstance(value, np.ndarray) for value in (bias, *scales)):
        return bias * (scales[0] * scales[1])
    unit = node.emit(relax.op.multiply(*map(as_expression, scales)))
    return node.emit(relax.op.multiply(as_expression(bias), unit))


def qlinear_matmul(node: Node) -> relax.Expr:
    """`QLinearMatMul`."""
    return of_floats(node, [dequantized(node, 0, 1, 2, -2), dequantized(node, 3, 4, 5, -1)], matmul, 6, 7)


def qlinear_convolution(node: Node) -> relax.Expr:
    """`QLinearConv`; the bias is in units of both scales."""
    inputs = [dequantized(node, 0, 1, 2, 1), dequantized(node, 3, 4, 5, 0)]
    if node.has(8):
        inputs.append(bias_of(node, 8))
    return of_floats(node, inputs, convolution, 6, 7)


QUANTIZATION: dict[str, OnnxConverter] = {
    "ConvInteger": convolution_integer,
    "DequantizeLinear": dequantize,
    "MatMulInteger": matmul_integer,
    "QLinearConv": qlinear_convolution,
    "QLinearMatMul": qlinear_matmul,
    "QuantizeLinear": quantize,
}
