"""Products of matrices in the dtype of their operands; TVM's importer makes them all float32."""

from __future__ import annotations

from typing import Any

from ovenbird.networks.torch.converters.arithmetic import constant
from ovenbird.networks.torch.converters.converter import Arguments


def multiply_matrices(node: Any, importer: Any) -> Any:
    """Convert `mm` and `bmm`."""
    from tvm import relax

    given = Arguments.of(node, importer)
    right = given["mat2"]
    return given.emit(relax.op.matmul(given["self"], right, out_dtype=given.dtype))


def multiply_and_add(left: str, right: str) -> Any:
    """Return a converter of `beta * self + alpha * (left @ right)`."""

    def convert(node: Any, importer: Any) -> Any:
        from tvm import relax

        given = Arguments.of(node, importer)
        alpha, beta = given["alpha"], given["beta"]
        if 0 in given.shape_of(left):  # the sum of nothing
            product = given.emit(relax.op.zeros(given.shape, given.dtype))
        else:
            product = given.emit(relax.op.matmul(given[left], given[right], out_dtype=given.dtype))
        if alpha != 1:
            product = given.emit(relax.op.multiply(product, constant(alpha, product)))
        if beta == 0:
            return product
        bias = given["self"]
        if beta != 1:
            bias = given.emit(relax.op.multiply(bias, constant(beta, bias)))
        return given.emit(relax.op.add(bias, product))

    return convert


def distances(node: Any, importer: Any) -> Any:
    """Convert `_cdist_forward(x1, x2, p, compute_mode)`: how far each row is from each other one, in the p-norm."""
    from tvm import relax

    op = relax.op
    given = Arguments.of(node, importer)
    left, right = given["x1"], given["x2"]
    rank = len(given.shape)
    one = given.emit(op.expand_dims(left, rank - 1))
    two = given.emit(op.expand_dims(right, rank - 2))
    gap = given.emit(op.abs(op.subtract(one, two)))
    power = float(given["p"])
    if power == 0:
        different = given.emit(op.astype(op.not_equal(gap, constant(0, gap)), given.dtype))
        return given.emit(op.sum(different, -1))
    if power == 1:
        return given.emit(op.sum(gap, -1))
    if power == float("inf"):
        return given.emit(op.max(gap, -1))
    if power == 2:
        return given.emit(op.sqrt(op.sum(op.multiply(gap, gap), -1)))
    total = given.emit(op.sum(op.power(gap, constant(power, gap)), -1))
    return given.emit(op.power(total, constant(1 / power, total)))
