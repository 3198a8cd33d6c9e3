"""Operators along axes: sums, means, extremes, norms, places of extremes, running sums, softmax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tvm import relax

from ovenbird.networks.onnx.converters.maps.elementwise import scalar
from ovenbird.networks.onnx.node import Node, OnnxConverter, literal

Reduce = Callable[..., relax.Expr]
Map = Callable[[Node, relax.Expr], relax.Expr]


def axes_of(node: Node) -> list[int] | None:
    """Return the axes, from the attribute or the input that later versions have; None for "as it is"."""
    rank = len(node.shape(0))
    axes = node.integers(1, "axes") if node.has(1) else node.attribute("axes")
    if axes:
        return [int(axis) % rank for axis in axes]
    return None if node.attribute("noop_with_empty_axes", 0) else list(range(rank))


def _same(node: Node, value: relax.Expr) -> relax.Expr:
    return value


def reduction(reduce: Reduce, before: Map = _same, after: Map = _same) -> OnnxConverter:
    """Return the converter to a reduction of a map of the elements, and a map of what comes out."""

    def convert(node: Node) -> relax.Expr:
        axes, value = axes_of(node), before(node, node.tensor(0))
        if axes:
            value = node.emit(reduce(value, axes, keepdims=bool(node.attribute("keepdims", 1))))
        return after(node, value)

    return convert


def extreme(reduce: Reduce) -> OnnxConverter:
    """Return the converter of `ReduceMax` or `ReduceMin`: of truth values, "any" and "all"."""

    def convert(node: Node) -> relax.Expr:
        axes, value = axes_of(node), node.tensor(0)
        if not axes:
            return value
        truth = node.dtype(0) == "bool"
        value = node.emit(relax.op.astype(value, "int8")) if truth else value
        value = node.emit(reduce(value, axes, keepdims=bool(node.attribute("keepdims", 1))))
        return relax.op.astype(value, "bool") if truth else value

    return convert


def mean(node: Node) -> relax.Expr:
    """`ReduceMean`: of whole numbers, rounded towards zero."""
    axes, keepdims = axes_of(node), bool(node.attribute("keepdims", 1))
    if not axes:
        return node.tensor(0)
    if node.dtype(0).startswith("float"):
        return relax.op.mean(node.tensor(0), axes, keepdims=keepdims)
    wide = node.emit(relax.op.astype(node.tensor(0), "float64"))
    return relax.op.astype(node.emit(relax.op.mean(wide, axes, keepdims=keepdims)), node.dtype(0))


def log_sum_exp(node: Node) -> relax.Expr:
    """`ReduceLogSumExp`, the largest taken out first so that nothing overflows."""
    axes, data = axes_of(node), node.tensor(0)
    if not axes:
        return data
    kept = node.emit(relax.op.max(data, axes, keepdims=True))
    # of nothing but -inf the largest is -inf: then subtract zero
    limit = float(np.finfo(node.dtype(0)).max)
    largest = node.emit(relax.op.clip(kept, -limit, limit))
    exponentials = node.emit(relax.op.exp(node.emit(relax.op.subtract(data, largest))))
    total = node.emit(relax.op.log(node.emit(relax.op.sum(exponentials, axes, keepdims=True))))
    result = node.emit(relax.op.add(total, largest))
    return result if node.attribute("keepdims", 1) else relax.op.squeeze(result, axes)


def place_of(reduce: Reduce) -> OnnxConverter:
    """`ArgMax`, `ArgMin`: the first of equals, or the last."""

    def convert(node: Node) -> relax.Expr:
        data, keepdims = node.tensor(0), bool(node.attribute("keepdims", 1))
        axis = node.attribute("axis", 0) % len(node.shape(0))
        if not node.attribute("select_last_index", 0):
            return relax.op.astype(node.emit(reduce(data, axis, keepdims=keepdims)), "int64")
        places = node.emit(reduce(node.emit(relax.op.flip(data, axis)), axis, keepdims=keepdims))
        last = literal(np.array(node.shape(0)[axis] - 1, np.int64))
        return relax.op.subtract(last, node.emit(relax.op.astype(places, "int64")))

    return convert


def softmax(operator: Callable[[relax.Expr, int], relax.Expr]) -> OnnxConverter:
    """`Softmax`, `LogSoftmax`: along an axis; before version 13, over all dimensions from the axis on."""

    def convert(node: Node) -> relax.Expr:
        shape = node.shape(0)
        if node.version >= 13:
            return operator(node.tensor(0), node.attribute("axis", -1) % len(shape))
        flat = node.emit(relax.op.reshape(node.tensor(0), matrix(shape, node.attribute("axis", 1))))
        return relax.op.reshape(node.emit(operator(flat, 1)), shape)

    return convert


def hardmax(node: Node) -> relax.Expr:
    """`Hardmax`: one for the first of the largest, zero for all others."""
    shape = node.shape(0)
    data, axis = node.tensor(0), node.attribute("axis", -1)
    if node.version < 13:
        data, axis = node.emit(relax.op.reshape(data, matrix(shape, node.attribute("axis", 1)))), 1
    rows = [int(extent) for extent in data.ty.shape.values]
    axis %= len(rows)
    places = np.arange(rows[axis]).reshape([-1 if place == axis else 1 for place in range(len(rows))])
    largest = node.emit(relax.op.argmax(data, axis, keepdims=True))
    chosen = node.emit(relax.op.equal(literal(places.astype(np.int64)), largest))
    return relax.op.reshape(node.emit(relax.op.astype(chosen, node.dtype(0))), shape)


def matrix(shape: tuple[int, ...], axis: int) -> tuple[int, int]:
    """Return the shape as a matrix: dimensions before the axis, and from it on."""
    axis = axis + len(shape) if axis < 0 else axis
    return int(np.prod(shape[:axis], dtype=np.int64)), int(np.prod(shape[axis:], dtype=np.int64))


def _square(node: Node, value: relax.Expr) -> relax.Expr:
    return node.emit(relax.op.multiply(value, value))


def _absolute(node: Node, value: relax.Expr) -> relax.Expr:
    return value if node.dtype(0).startswith("u") else node.emit(relax.op.abs(value))


def _logarithm(node: Node, value: relax.Expr) -> relax.Expr:
    return _in_floats(node, value, relax.op.log)


def _root(node: Node, value: relax.Expr) -> relax.Expr:
    return _in_floats(node, value, relax.op.sqrt)


def _in_floats(node: Node, value: relax.Expr, operator: Any) -> relax.Expr:
    if node.dtype(0).startswith("float"):
        return operator(value)
    wide = node.emit(relax.op.astype(value, "float64"))
    return relax.op.astype(node.emit(operator(wide)), node.dtype(0))


def lp_normalization(node: Node) -> relax.Expr:
    """`LpNormalization`: divided by the norm along the axis; zero where that is zero."""
    data, axis = node.tensor(0), node.attribute("axis", -1) % len(node.shape(0))
    euclidean = node.attribute("p", 2) == 2
    sizes = _square(node, data) if euclidean else _absolute(node, data)
    norm = node.emit(relax.op.sum(sizes, [axis], keepdims=True))
    if euclidean:
        norm = node.emit(relax.op.sqrt(norm))
    nothing = node.emit(relax.op.equal(norm, scalar(node, 0)))
    return relax.op.divide(data, node.emit(relax.op.where(nothing, scalar(node, 1), norm)))


REDUCTIONS: dict[str, OnnxConverter] = {
    "ArgMax": place_of(relax.op.argmax),
    "ArgMin": place_of(relax.op.argmin),
    "Hardmax": hardmax,
    "LogSoftmax": softmax(relax.op.nn.log_softmax),
    "LpNormalization": lp_normalization,
    "ReduceL1": reduction(relax.op.sum, before=_absolute),
    "ReduceL2": reduction(relax.op.sum, before=_square, after=_root),
    "ReduceLogSum": reduction(relax.op.sum, after=_logarithm),
    "ReduceLogSumExp": log_sum_exp,
    "ReduceMax": extreme(relax.op.max),
    "ReduceMean": mean,
    "ReduceMin": extreme(relax.op.min),
    "ReduceProd": reduction(relax.op.prod),
    "ReduceSum": reduction(relax.op.sum),
    "ReduceSumSquare": reduction(relax.op.sum, before=_square),
    "Softmax": softmax(relax.op.nn.softmax),
}
