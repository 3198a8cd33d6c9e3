"""Reductions over some dimensions or all of them, in the dtype that torch gives the result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ovenbird.networks.torch.converters.converter import Arguments, Converter


def reduction(reduce: Callable[..., Any]) -> Converter:
    """Return a converter of `reduce(data, axes, keepdims)`, computed in the result's dtype.

    `sum` of whole numbers or truth values is int64, `mean` of them needs a dtype; so torch says.
    """

    def convert(node: Any, importer: Any) -> Any:
        given = Arguments.of(node, importer)
        computed = "int8" if given.dtype == "bool" else given.dtype  # TVM has no least truth value
        data = given.cast(given["self"], computed)
        if not given.shape_of("self"):
            return given.cast(data, given.dtype)
        result = given.emit(reduce(data, axes(given), bool(given.values.get("keepdim", False))))
        return given.cast(result, given.dtype)

    return convert


def extreme_of_dimension(largest: bool) -> Converter:
    """Return a converter of `max.dim` or `min.dim`: the extremes, and where the first of each is."""

    def convert(node: Any, importer: Any) -> Any:
        from tvm import relax

        op = relax.op
        given = Arguments.of(node, importer)
        data, keepdim = given["self"], bool(given["keepdim"])
        if not given.shape_of("self"):
            return given.emit(relax.Tuple([data, relax.const(0, "int64")]))
        numbers = given.cast(data, "int8") if given.dtype == "bool" else data
        value = given.emit((op.max if largest else op.min)(numbers, [given["dim"]], keepdim))
        place = given.emit((op.argmax if largest else op.argmin)(numbers, given["dim"], keepdim))
        return given.emit(relax.Tuple([given.cast(value, given.dtype), given.cast(place, "int64")]))

    return convert


def axes(given: Arguments) -> list[int] | None:
    """Return the dimensions to reduce; None for all of them, as torch takes an empty list."""
    dims = given.values.get("dim")
    if dims is None:
        return None
    return [int(dim) for dim in (dims if isinstance(dims, (list, tuple)) else [dims])] or None


def spread(root: bool) -> Converter:
    """Return a converter of `var.correction` and `std.correction`: by the mean first, then the squares around it."""

    def convert(node: Any, importer: Any) -> Any:
        from tvm import relax

        given = Arguments.of(node, importer)
        shape, dims = given.shape_of("self"), axes(given)
        data = given["self"]
        count = 1
        for dim in range(len(shape)) if dims is None else {dim % len(shape) for dim in dims}:
            count *= shape[dim]
        correction = given["correction"]
        divisor = count - (1 if correction is None else correction)
        mean = given.emit(relax.op.mean(data, dims, True))
        distance = given.emit(relax.op.subtract(data, mean))
        squares = given.emit(relax.op.multiply(distance, distance))
        total = given.emit(relax.op.sum(squares, dims, bool(given["keepdim"])))
        # torch: nan where nothing is left to divide by
        scale = relax.const(1 / divisor if divisor > 0 else float("nan"), given.dtype)
        result = given.emit(relax.op.multiply(total, scale))
        return given.emit(relax.op.sqrt(result)) if root else result

    return convert


def all_or_any(every: bool) -> Converter:
    """Return a converter of `all` or `any`: whatever is not 0 is true."""

    def convert(node: Any, importer: Any) -> Any:
        from tvm import relax

        given = Arguments.of(node, importer)
        truth = given.cast(given["self"], "bool")
        if not given.shape_of("self"):
            return given.cast(truth, given.dtype)
        reduce = relax.op.min if every else relax.op.max
        numbers = given.cast(truth, "int8")
        result = given.emit(reduce(numbers, axes(given), bool(given.values.get("keepdim", False))))
        return given.cast(result, given.dtype)

    return convert
