"""Indexing by tensors: `x[:, rows, columns]`, and writing there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ovenbird.errors import UnsupportedOperator
from ovenbird.networks.torch.converters.converter import Arguments, dtype_of


@dataclass(frozen=True)
class Places:
    """Where tensors of indices lead to: what is indexed made one dimension, and places in it."""

    axes: list[int]
    order: list[int]
    first: int
    """The dimension of the result where the indices' own begin."""
    sides: list[int]
    places: Any

    @classmethod
    def of(cls, given: Arguments) -> Places:
        """Read `self` and `indices`: they go side by side, broadcast, and a negative one counts from the end."""
        from tvm import relax

        op = relax.op
        shape = given.shape_of("self")
        axes, indices = indices_of(given)
        together = axes == list(range(axes[0], axes[-1] + 1))
        first = axes[0] if together else 0
        others = [axis for axis in range(len(shape)) if axis not in axes]
        places: Any = None
        for one, axis in zip(indices, axes, strict=True):
            side = relax.const(shape[axis], "int64")
            inside = _held(given, given.cast(one, "int64"), shape[axis])
            outer = None if places is None else given.emit(op.multiply(places, side))
            places = inside if outer is None else given.emit(op.add(outer, inside))
        return cls(axes, others[:first] + axes + others[first:], first, [shape[axis] for axis in axes], places)


def indices_of(given: Arguments) -> tuple[list[int], list[Any]]:
    """Return the dimensions that are indexed, and by what; a mask that is known indexes as many as it has."""
    from tvm import relax

    axes: list[int] = []
    found: list[Any] = []
    axis = 0
    for node, one in zip(given.nodes["indices"], given["indices"], strict=True):
        columns: list[Any] = [one]
        if one is not None and dtype_of(one) in ("bool", "uint8"):
            mask = given.importer.constants.get(node)
            if mask is None:
                raise UnsupportedOperator("indexing by a mask gives a length that depends on data; use torch.where")
            columns = [relax.const(places, "int64") for places in mask.numpy().nonzero()]
        for column in columns:
            if column is not None:
                axes.append(axis)
                found.append(column)
            axis += 1
    return axes, found


def _held(given: Arguments, places: Any, extent: int) -> Any:
    """Return places counted from the start of their dimension, and held inside it."""
    from tvm import relax

    op = relax.op
    zero, side, last = (relax.const(number, "int64") for number in (0, extent, extent - 1))
    counted = given.emit(op.where(op.less(places, zero), op.add(places, side), places))
    return given.emit(op.minimum(op.maximum(counted, zero), last))


def index(node: Any, importer: Any) -> Any:
    """Convert `index.Tensor(self, indices)`.

    The indices' dimensions stand where the first of them stood, or, where a whole dimension is between two of them,
    before all others, as in torch.
    """
    from tvm import relax

    op = relax.op
    given = Arguments.of(node, importer)
    data, shape = given["self"], given.shape_of("self")
    axes, indices = indices_of(given)
    if len(axes) == 1:
        return given.emit(op.take(data, indices[0], axes[0]))
    found = Places.of(given)
    if found.order != list(range(len(shape))):
        data = given.emit(op.permute_dims(data, found.order))
    ordered = [shape[axis] for axis in found.order]
    count = len(found.axes)
    flat = [*ordered[: found.first], math.prod(found.sides), *ordered[found.first + count :]]
    return given.emit(op.take(given.emit(op.reshape(data, flat)), found.places, found.first, mode="clip"))


def put(node: Any, importer: Any) -> Any:
    """Convert `index_put(self, indices, values, accumulate)`; a mask takes one value for all its places."""
    from tvm import relax

    op = relax.op
    given = Arguments.of(node, importer)
    data, shape = given["self"], given.shape_of("self")
    values = given.cast(given["values"], given.dtype)
    masks = [one for one in given["indices"] if one is not None and dtype_of(one) == "bool"]
    if masks and len(given["indices"]) == 1 and math.prod(given.shape_of("values")) == 1 and not given["accumulate"]:
        mask = given.nodes["indices"][0].meta["val"].shape
        wide = given.emit(op.reshape(masks[0], [*map(int, mask), *[1] * (len(shape) - len(mask))]))
        return given.emit(op.where(wide, given.emit(op.reshape(values, [])), data))
    found = Places.of(given)
    places = [int(extent) for extent in found.places.ty.shape]
    others = [axis for axis in found.order if axis not in found.axes]
    order = found.axes + others
    rest = [shape[axis] for axis in others]
    columns = math.prod(rest)
    table = given.emit(op.permute_dims(data, order)) if order != list(range(len(shape))) else data
    table = given.emit(op.reshape(table, [math.prod(shape)]))
    # the values as the result of indexing has them, then the indices' dimensions before the others
    values = given.emit(op.broadcast_to(values, [*rest[: found.first], *places, *rest[found.first :]]))
    own = list(range(found.first, found.first + len(places)))
    front = own + [axis for axis in range(len(rest) + len(places)) if axis not in own]
    if front != list(range(len(front))):
        values = given.emit(op.permute_dims(values, front))
    values = given.emit(op.reshape(values, [math.prod(places) * columns]))
    at = given.emit(op.reshape(given.emit(op.multiply(found.places, relax.const(columns, "int64"))), [-1, 1]))
    at = given.emit(op.add(at, relax.const(np.arange(columns).reshape(1, columns), "int64")))
    at = given.emit(op.reshape(at, [math.prod(places) * columns]))
    kept = "int8" if given.dtype == "bool" else given.dtype
    table, values = given.cast(table, kept), given.cast(values, kept)
    table = given.cast(given.emit(op.index_put(table, [at], values, bool(given["accumulate"]))), given.dtype)
    apart = given.emit(op.reshape(table, [*found.sides, *rest]))
    return given.emit(op.permute_dims(apart, [order.index(axis) for axis in range(len(shape))]))
