"""Operators that ONNX Runtime's optimiser makes of several, each given by those again.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md. Their definitions are not in the onnx
package, so their defaults stand here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tvm import relax

from ovenbird.networks.onnx.converters.layers.convolutions import convolution
from ovenbird.networks.onnx.converters.layers.matrices import gemm
from ovenbird.networks.onnx.converters.layers.normalizations import layer
from ovenbird.networks.onnx.converters.maps.elementwise import gelu, hard_sigmoid, leaky_relu, scalar
from ovenbird.networks.onnx.node import Node, OnnxConverter

PLAIN = {"Relu": relax.op.nn.relu, "Sigmoid": relax.op.sigmoid, "Tanh": relax.op.tanh}
SKIP_SUM = 3
"""Which output of a layer norm after a sum is that sum."""


def fused_convolution(node: Node) -> relax.Expr:
    """`FusedConv`: a convolution, a sum with the fourth input, an activation."""
    result = node.emit(convolution(node))
    if node.has(3):
        result = node.emit(relax.op.add(result, node.tensor(3)))
    return activated(node, result, list(node.attribute("activation_params") or ()))


def fused_gemm(node: Node) -> relax.Expr:
    """`FusedGemm`: `Gemm` and an activation."""
    numbers = [node.attributes[name] for name in ("activation_alpha", "activation_beta") if name in node.attributes]
    return activated(node, node.emit(gemm(node)), numbers)


def activated(node: Node, value: relax.Expr, numbers: list[float]) -> relax.Expr:
    """Return a value after the activation that the node names; `numbers`: its parameters."""
    name = node.attribute("activation", "")
    if not name:
        return value
    if name in PLAIN:
        return PLAIN[name](value)
    if name == "Clip" and len(numbers) == 2:
        return relax.op.clip(value, *numbers)
    inner = replace(node, inputs=[value], attributes=dict(zip(("alpha", "beta"), numbers, strict=False)))
    if name == "LeakyRelu":
        return leaky_relu(inner)
    if name == "HardSigmoid":
        return hard_sigmoid(inner)
    raise node.refuse(f"its activation {name} is unknown; export the network anew, without ONNX Runtime's optimiser")


def fused_matmul(node: Node) -> relax.Expr:
    """`FusedMatMul`: alpha * A @ B, either of them transposed."""
    sides = []
    for index, side in enumerate("AB"):
        data, rank = node.tensor(index), len(node.shape(index))
        order = list(range(rank))
        if node.attribute(f"transBatch{side}", 0) and rank > 2:  # the first dimension goes behind the others but one
            order = [*order[1:-1], 0, order[-1]]
        if node.attribute(f"trans{side}", 0) and rank > 1:
            order[-2:] = order[:-3:-1]
        sides.append(data if order == list(range(rank)) else node.emit(relax.op.permute_dims(data, order)))
    result = relax.op.matmul(*sides)
    alpha = node.attribute("alpha", 1.0)
    return result if alpha == 1 else relax.op.multiply(node.emit(result), scalar(node, alpha))


def biased_gelu(approximate: str) -> OnnxConverter:
    """Return the converter of `BiasGelu` or `FastGelu`: Gelu of the sum with a bias, which may be left out."""

    def convert(node: Node) -> relax.Expr:
        value = node.tensor(0)
        if node.has(1):
            value = node.emit(relax.op.add(value, node.tensor(1)))
        return gelu(replace(node, inputs=[value], attributes={"approximate": approximate}))

    return convert


def quick_gelu(node: Node) -> relax.Expr:
    """`QuickGelu`: x * sigmoid(alpha * x)."""
    scaled = node.emit(relax.op.multiply(node.tensor(0), scalar(node, node.attribute("alpha", 1.702))))
    return relax.op.multiply(node.tensor(0), node.emit(relax.op.sigmoid(scaled)))


def skip_layer(node: Node) -> tuple[Any, ...]:
    """`SkipLayerNormalization(x, skip, scale, shift, bias)`: of their sum with the bias, an output too."""
    total = node.emit(relax.op.add(node.tensor(0), node.tensor(1)))
    if node.has(4):
        total = node.emit(relax.op.add(total, node.tensor(4)))
    inputs = [total, node.inputs[2], node.inputs[3] if node.has(3) else None]
    attributes = {"axis": -1, "epsilon": node.attribute("epsilon", 1e-12)}
    found = layer(replace(node, inputs=inputs, outputs=node.outputs[:SKIP_SUM], attributes=attributes))
    outputs = (*found,) if isinstance(found, tuple) else (found, None, None)
    return (*outputs, total)


FUSED: dict[str, OnnxConverter] = {
    "com.microsoft.BiasGelu": biased_gelu("none"),
    "com.microsoft.FastGelu": biased_gelu("tanh"),
    "com.microsoft.FusedConv": fused_convolution,
    "com.microsoft.FusedGemm": fused_gemm,
    "com.microsoft.FusedMatMul": fused_matmul,
    "com.microsoft.Gelu": biased_gelu("none"),
    "com.microsoft.QuickGelu": quick_gelu,
    "com.microsoft.SkipLayerNormalization": skip_layer,
}
