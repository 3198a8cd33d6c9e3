"""Eight-bit operators of ONNX Runtime's quantizer (`QuantFormat.QOperator`), computed in float32.

Each takes values with their scale and zero point, and ends with the scale and zero point of its output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tvm import relax

from ovenbird.networks.onnx.converters.layers.matrices import gemm
from ovenbird.networks.onnx.converters.layers.pooling import average, global_average
from ovenbird.networks.onnx.converters.maps.elementwise import leaky_relu, unary
from ovenbird.networks.onnx.converters.maps.reductions import softmax
from ovenbird.networks.onnx.converters.quantization import bias_of, dequantize, dequantized, of_floats, quantize
from ovenbird.networks.onnx.node import Node, OnnxConverter, as_expression


def of_two(operator: Callable[[relax.Expr, relax.Expr], relax.Expr]) -> OnnxConverter:
    """Return the converter of `QLinearAdd` or `QLinearMul`."""

    def convert(node: Node) -> relax.Expr:
        sides = [dequantized(node, 0, 1, 2, -1), dequantized(node, 3, 4, 5, -1)]
        return of_floats(node, sides, lambda inner: operator(inner.tensor(0), inner.tensor(1)), 6, 7)

    return convert


def of_one(operator: OnnxConverter) -> OnnxConverter:
    """Return the converter of a quantized operator of one value."""

    def convert(node: Node) -> relax.Expr:
        if node.attribute("channels_last", 0):
            raise node.refuse("its channels are last; quantize the network anew, without ONNX Runtime's optimiser")
        return of_floats(node, [dequantized(node, 0, 1, 2, -1)], operator, 3, 4)

    return convert


def quantized_softmax(node: Node) -> relax.Expr:
    """`QLinearSoftmax`, of the version of `Softmax` that it was made of."""
    return of_one(softmax(relax.op.nn.softmax))(replace(node, version=node.attribute("opset", 13)))


def concatenation(node: Node) -> relax.Expr:
    """`QLinearConcat(scale, zero point, and three inputs a part)`."""
    places = range(2, len(node.inputs), 3)
    parts = [as_expression(dequantized(node, index, index + 1, index + 2, -1)) for index in places]
    joined = node.emit(relax.op.concat(parts, node.attribute("axis") % len(node.shape(2))))
    return quantize(replace(node, inputs=[joined, *node.inputs[:2]], attributes={}))


def quantized_gemm(node: Node) -> relax.Expr:
    """`QGemm`: the bias is in units of both scales; float32 where no scale of the output is given."""
    transposed = bool(node.attribute("transB", 0))
    inputs = [dequantized(node, 0, 1, 2, -1), dequantized(node, 3, 4, 5, 0 if transposed else 1)]
    attributes = {name: node.attribute(name, 0) for name in ("transA", "transB")}
    alpha = node.attribute("alpha", 1.0)
    if node.has(6):
        inputs.append(bias_of(node, 6))
    inner = replace(node, attributes={**attributes, "alpha": alpha, "beta": alpha})
    return of_floats(inner, inputs, gemm, 7, 8) if node.has(7) else gemm(replace(inner, inputs=inputs))


QUANTIZED: dict[str, OnnxConverter] = {
    "com.microsoft.DequantizeLinear": dequantize,
    "com.microsoft.QGemm": quantized_gemm,
    "com.microsoft.QLinearAdd": of_two(relax.op.add),
    "com.microsoft.QLinearAveragePool": of_one(average),
    "com.microsoft.QLinearConcat": concatenation,
    "com.microsoft.QLinearGlobalAveragePool": of_one(global_average),
    "com.microsoft.QLinearLeakyRelu": of_one(leaky_relu),
    "com.microsoft.QLinearMul": of_two(relax.op.multiply),
    "com.microsoft.QLinearSigmoid": of_one(unary(relax.op.sigmoid)),
    "com.microsoft.QLinearSoftmax": quantized_softmax,
    "com.microsoft.QuantizeLinear": quantize,
}
