"""Products of matrices, and determinants."""

from __future__ import annotations

import math

import numpy as np
from tvm import relax

from ovenbird.limits import MAX_DETERMINANT_SIDE
from ovenbird.networks.onnx.converters.maps.elementwise import scalar
from ovenbird.networks.onnx.node import Node, OnnxConverter


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


def determinant(node: Node) -> relax.Expr:
    """`Det` of small matrices, along their first rows (Laplace)."""
    *outer, side, _ = node.shape(0)
    if side > MAX_DETERMINANT_SIDE:
        raise node.refuse(f"a matrix has {side} rows, limit {MAX_DETERMINANT_SIDE}")
    flat = node.emit(relax.op.reshape(node.tensor(0), [math.prod(outer), side * side]))

    def minor(row: int, columns: tuple[int, ...]) -> relax.Expr:
        total = None
        for place, column in enumerate(columns):
            part = node.take(flat, np.array([row * side + column]), 1)
            if len(columns) > 1:
                rest = minor(row + 1, columns[:place] + columns[place + 1 :])
                part = node.emit(relax.op.multiply(part, rest))
            sign = relax.op.subtract if place % 2 else relax.op.add
            total = part if total is None else node.emit(sign(total, part))
        return total

    return relax.op.reshape(minor(0, tuple(range(side))), outer)


MATRICES: dict[str, OnnxConverter] = {
    "Det": determinant,
    "Gemm": gemm,
    "MatMul": matmul,
}
