"""Order and places: TopK, running sums, scatters; and Einstein's sums, whose axes are named."""

from __future__ import annotations

from typing import Any

from tvm import relax

from ovenbird.networks.composed.einsum import einsum
from ovenbird.networks.onnx.node import Node, OnnxConverter
from ovenbird.operators.indexing.scan import Scan
from ovenbird.operators.indexing.scatter import Reduction, ScatterElements, ScatterSlices
from ovenbird.operators.indexing.topk import TopK
from ovenbird.operators.writing.own import own_call

REDUCTIONS: dict[str, Reduction] = {
    "none": "none",
    "add": "sum",
    "mul": "product",
    "max": "maximum",
    "min": "minimum",
}


def topk(node: Node) -> tuple[Any, ...]:
    """`TopK(x, k)`: values and indices; of equal values the one with the lower index comes first."""
    axis = int(node.attribute("axis", -1)) % len(node.shape(0))
    count = node.integers(1, "k")[0] if node.has(1) else int(node.attribute("k"))
    if not 0 < count <= node.shape(0)[axis]:
        raise node.refuse(f"k is {count}, the axis has {node.shape(0)[axis]} elements")
    call = node.emit(own_call(TopK(axis, count, bool(node.attribute("largest", 1))), node.tensor(0)))
    return (relax.TupleGetItem(call, 0), relax.TupleGetItem(call, 1))


def running(operation: Any) -> OnnxConverter:
    """`CumSum` and `CumProd`."""

    def convert(node: Node) -> relax.Expr:
        axis = node.integers(1, "axis")[0] % len(node.shape(0))
        exclusive, reverse = (bool(node.attribute(name, 0)) for name in ("exclusive", "reverse"))
        return own_call(Scan(axis, operation, node.dtype(0), exclusive, reverse), node.tensor(0))

    return convert


def scatter_elements(node: Node) -> relax.Expr:
    """`ScatterElements(data, indices, updates)`, and `Scatter`, its older name."""
    axis = int(node.attribute("axis", 0)) % len(node.shape(0))
    operator = ScatterElements(axis, reduction(node))
    return own_call(operator, node.tensor(0), node.tensor(1), node.tensor(2))


def scatter_nd(node: Node) -> relax.Expr:
    """`ScatterND(data, indices, updates)`."""
    return own_call(ScatterSlices(reduction(node)), node.tensor(0), node.tensor(1), node.tensor(2))


def reduction(node: Node) -> Reduction:
    """Return what becomes of a place that has a value already."""
    name = node.attribute("reduction") or "none"
    if name not in REDUCTIONS:
        raise node.refuse(f"the reduction {name!r} is none of {', '.join(REDUCTIONS)}")
    return REDUCTIONS[name]


def einstein_sum(node: Node) -> relax.Expr:
    """`Einsum`, as matrix products."""
    operands = [node.tensor(index) for index in range(len(node.inputs))]
    try:
        return einsum(node.emit, node.attribute("equation"), operands)
    except ValueError as error:
        raise node.refuse(str(error)) from None


INDEXING: dict[str, OnnxConverter] = {
    "CumProd": running("product"),
    "CumSum": running("sum"),
    "Einsum": einstein_sum,
    "Scatter": scatter_elements,
    "ScatterElements": scatter_elements,
    "ScatterND": scatter_nd,
    "TopK": topk,
}
