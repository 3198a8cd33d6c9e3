"""Sorts, the largest elements, running sums, and scatters along one dimension: by kernels of our own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.errors import UnsupportedOperator
from ovenbird.networks.torch.converters.converter import Arguments, Converter

if TYPE_CHECKING:
    from ovenbird.operators.indexing.scatter import Reduction

REDUCTIONS: dict[str | None, Reduction] = {
    None: "none",
    "add": "sum",
    "multiply": "product",
    "sum": "sum",
    "prod": "product",
    "mean": "mean",
    "amax": "maximum",
    "amin": "minimum",
}
"""By torch's names."""


def axis_of(given: Arguments) -> int:
    """Return a dimension counted from the first. Raises UnsupportedOperator for a number, which has none."""
    rank = len(given.shape_of("self"))
    if not rank:
        raise UnsupportedOperator("a tensor without dimensions has no order; take it as it is")
    return int(given["dim"]) % rank


def parts(given: Arguments, call: Any) -> Any:
    """Return the outputs of a call as torch does: a tuple."""
    from tvm import relax

    call = given.emit(call)
    return relax.Tuple([given.emit(relax.TupleGetItem(call, index)) for index in range(len(call.ty.fields))])


def sort(node: Any, importer: Any) -> Any:
    """Convert `sort(self, dim, descending)`, which is stable whether asked for or not, as torch's is."""
    from ovenbird.operators.indexing.sort import Sort
    from ovenbird.operators.writing.own import own_call

    given = Arguments.of(node, importer)
    return parts(given, own_call(Sort(axis_of(given), bool(given["descending"])), given["self"]))


def argsort(node: Any, importer: Any) -> Any:
    """Convert `argsort(self, dim, descending)`."""
    from tvm import relax

    return importer.block_builder.emit(relax.TupleGetItem(sort(node, importer), 1))


def topk(node: Any, importer: Any) -> Any:
    """Convert `topk(self, k, dim, largest, sorted)`: in order; of equal values the first comes first."""
    from ovenbird.operators.indexing.topk import TopK
    from ovenbird.operators.writing.own import own_call

    given = Arguments.of(node, importer)
    count = int(given["k"])
    if not count:
        raise UnsupportedOperator("topk of no elements gives an empty tensor; leave it out")
    return parts(given, own_call(TopK(axis_of(given), count, bool(given["largest"])), given["self"]))


def running(operation: Any) -> Converter:
    """Return a converter of `cumsum` or `cumprod(self, dim, dtype)`."""

    def convert(node: Any, importer: Any) -> Any:
        from ovenbird.operators.indexing.scan import Scan
        from ovenbird.operators.writing.own import own_call

        given = Arguments.of(node, importer)
        return given.emit(own_call(Scan(axis_of(given), operation, given.dtype), given["self"]))

    return convert


def scatter(updates: str, reduction: Reduction | None = None) -> Converter:
    """Return a converter of a scatter whose updates are the argument named, a tensor or a number."""

    def convert(node: Any, importer: Any) -> Any:
        from tvm import relax

        from ovenbird.operators.indexing.scatter import ScatterElements
        from ovenbird.operators.writing.own import own_call

        given = Arguments.of(node, importer)
        values = given.cast(given[updates], given.dtype)
        if isinstance(given.fake(updates), (bool, int, float)) or not given.shape_of(updates):
            values = given.emit(relax.op.broadcast_to(values, given.shape_of("index")))
        chosen = reduction or REDUCTIONS[given.values.get("reduce")]
        include = given.values.get("include_self", True)
        data = given["self"]
        if given.dtype == "bool":  # a sum of truth values is whether one is true
            chosen = {"sum": "maximum", "product": "minimum"}.get(chosen, chosen)  # type: ignore[assignment]
            data, values = given.cast(data, "int8"), given.cast(values, "int8")
        operator = ScatterElements(axis_of(given), chosen, bool(include))
        return given.cast(given.emit(own_call(operator, data, given["index"], values)), given.dtype)

    return convert


ORDERING: dict[str, Converter] = {
    "argsort.default": argsort,
    "argsort.stable": argsort,
    "cumprod.default": running("product"),
    "cumsum.default": running("sum"),
    "scatter.reduce": scatter("src"),
    "scatter.src": scatter("src", "none"),
    "scatter.value": scatter("value", "none"),
    "scatter.value_reduce": scatter("value"),
    "scatter_add.default": scatter("src", "sum"),
    "scatter_reduce.two": scatter("src"),
    "sort.default": sort,
    "sort.stable": sort,
    "topk.default": topk,
}
