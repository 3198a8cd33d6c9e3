"""Products of matrices."""

from __future__ import annotations

from tvm import relax

from ovenbird.networks.onnx.converters.maps.elementwise import scalar
from ovenbird.networks.onnx.node import Converter, Node


def matmul(node: Node) -> relax.Expr:
    """`MatMul`."""
    return relax.op.matmul(node.tensor(0), node.tensor(1))


def gemm(node: Node) -> relax.Expr:
    """`Gemm`: alpha * A @ B + beta * C."""
    left, right = node.tensor(0), node.tensor(1)
    if node.attribute("transA", 0):
        left = node.emit(relax.op.permute_dims(left, [1, 0]))
    if node.attribute("transB", 0):
        right = node.emit(relax.op.permute_dims(right, [1, 0]))
    result = node.emit(relax.op.matmul(left, right))
    if (alpha := node.attribute("alpha", 1.0)) != 1:
        result = node.emit(relax.op.multiply(result, scalar(node, alpha)))
    if not node.has(2):
        return result
    addend = node.tensor(2)
    if (beta := node.attribute("beta", 1.0)) != 1:
        addend = node.emit(relax.op.multiply(addend, scalar(node, beta)))
    return relax.op.add(result, addend)


MATRICES: dict[str, Converter] = {
    "Gemm": gemm,
    "MatMul": matmul,
}
