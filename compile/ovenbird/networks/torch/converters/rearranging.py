"""Operators that only move numbers, to places that are known: torch itself, given the places as numbers, says where.

`as_strided` reads a tensor's memory, which torch's own description of the operand (its strides) lays out.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import torch

from ovenbird.errors import UnsupportedOperator
from ovenbird.limits import MAX_COMPUTED_ELEMENTS
from ovenbird.networks.torch.converters.converter import Arguments, Converter


def as_strided(node: Any, importer: Any) -> Any:
    """Convert `as_strided(self, size, stride, storage_offset)`: a gather from the flat tensor."""
    given = Arguments.of(node, importer)
    right = given.fake("self")
    memory = _memory(given)
    offset = given["storage_offset"]
    places = memory.as_strided(given["size"], given["stride"], right.storage_offset() if offset is None else offset)
    if bool((places < 0).any()):
        raise UnsupportedOperator("as_strided reads memory outside its operand; index the whole tensor instead")
    return _gathered(given, [given["self"]], places)


def as_strided_scatter(node: Any, importer: Any) -> Any:
    """Convert `as_strided_scatter(self, src, size, stride, storage_offset)`: of places written twice, the last."""
    given = Arguments.of(node, importer)
    memory, count = _memory(given), math.prod(given.shape_of("self"))
    source = count + torch.arange(math.prod(given.shape_of("src"))).reshape(given.shape_of("src"))
    offset = given["storage_offset"]
    first = given.fake("self").storage_offset() if offset is None else offset
    memory.as_strided(given["size"], given["stride"], first).copy_(source)
    whole = memory.as_strided(given.shape_of("self"), given.fake("self").stride(), given.fake("self").storage_offset())
    return _gathered(given, [given["self"], given.cast(given["src"], given.dtype)], whole)


def scattered(node: Any, importer: Any) -> Any:
    """Convert what writes `src` into known places of `self`, as `diagonal_scatter` does."""
    given = Arguments.of(node, importer)
    count = math.prod(given.shape_of("self"))
    here = torch.arange(count).reshape(given.shape_of("self"))
    there = count + torch.arange(math.prod(given.shape_of("src"))).reshape(given.shape_of("src"))
    places = node.target(here, there, *(given.nodes[name] for name in list(given.nodes)[2:]))
    return _gathered(given, [given["self"], given.cast(given["src"], given.dtype)], places)


def _memory(given: Arguments) -> torch.Tensor:
    """Return the operand's memory, holding for each of its elements where that is in the flat tensor; else -1."""
    right = given.fake("self")
    shape, strides, offset = given.shape_of("self"), [int(stride) for stride in right.stride()], right.storage_offset()
    size = int(right.untyped_storage().nbytes()) // right.element_size()
    _check(max(size, given.result.numel()), given)
    memory = torch.full((size,), -1)
    memory.as_strided(shape, strides, offset).copy_(torch.arange(math.prod(shape)).reshape(shape))
    return memory


def _gathered(given: Arguments, tensors: list[Any], places: torch.Tensor) -> Any:
    """Take elements of flat tensors, laid one after the other."""
    from tvm import relax

    _check(places.numel(), given)
    flat = [given.emit(relax.op.reshape(tensor, [-1])) for tensor in tensors]
    joined = flat[0] if len(flat) == 1 else given.emit(relax.op.concat(flat, 0))
    index = relax.const(np.ascontiguousarray(places.numpy().astype(np.int64)))
    return given.emit(relax.op.take(joined, index, 0, mode="clip"))


def _check(count: int, given: Arguments) -> None:
    if count > MAX_COMPUTED_ELEMENTS:
        raise UnsupportedOperator(
            f"{given.node.target.__name__} of {count} elements, limit {MAX_COMPUTED_ELEMENTS}; use slices or unfold"
        )


def select(node: Any, importer: Any) -> Any:
    """Convert `select(self, dim, index)` whose index a tensor of the network holds."""
    from tvm import relax

    given = Arguments.of(node, importer)
    axis = int(given["dim"]) % len(given.shape_of("self"))
    if isinstance(given.nodes["index"], int):
        return importer._select(node)
    place = given.emit(relax.op.reshape(given["index"], []))
    return given.emit(relax.op.take(given["self"], given.cast(place, "int64"), axis))


def select_many(node: Any, importer: Any) -> Any:
    """Convert `index_select(self, dim, index)`, whose index may be one number."""
    given = Arguments.of(node, importer)
    return _taken(given, given["self"], given["index"], int(given["dim"]) % len(given.shape_of("self")))


def embedding(node: Any, importer: Any) -> Any:
    """Convert `embedding(weight, indices)`; TVM's cuts ids to 32 bits, and answers 2**32 with the row of 0."""
    given = Arguments.of(node, importer)
    return _taken(given, given["weight"], given["indices"], 0)


def _taken(given: Arguments, data: Any, places: Any, axis: int) -> Any:
    from tvm import relax

    flat = given.emit(relax.op.reshape(places, [-1]))
    return given.emit(relax.op.reshape(given.emit(relax.op.take(data, flat, axis)), given.shape))


def number(node: Any, importer: Any) -> Any:
    """Convert `item(self)`: the tensor without its dimensions, to compute and to index with."""
    from tvm import relax

    given = Arguments.of(node, importer)
    return given.emit(relax.op.reshape(given["self"], []))


def permute(node: Any, importer: Any) -> Any:
    """Convert `permute(self, dims)`; TVM's operator errs on dimensions counted from the end."""
    from tvm import relax

    given = Arguments.of(node, importer)
    rank = len(given.shape)
    return given.emit(relax.op.permute_dims(given["self"], [int(dim) % rank for dim in given["dims"]]))


def join(node: Any, importer: Any) -> Any:
    """Convert `cat(tensors, dim)`, but for the tensors that have no elements."""
    from tvm import relax

    given = Arguments.of(node, importer)
    axis = int(given["dim"]) % len(given.shape)
    parts = [
        given.cast(tensor, given.dtype)
        for tensor, known in zip(given["tensors"], given.nodes["tensors"], strict=True)
        if 0 not in known.meta["val"].shape
    ]
    return parts[0] if len(parts) == 1 else given.emit(relax.op.concat(parts, axis))


def split(node: Any, importer: Any) -> Any:
    """Convert `split_with_sizes(self, split_sizes, dim)`; a part without elements is known, and none of TVM's."""
    from tvm import relax

    given = Arguments.of(node, importer)
    sizes = [int(size) for size in given["split_sizes"]]
    axis = int(given["dim"]) % len(given.shape_of("self"))
    ends = list(itertools.accumulate(sizes))
    if 0 not in sizes:
        return given.emit(relax.op.split(given["self"], ends[:-1], axis))
    empty = relax.const(np.zeros(0, "int8"))
    return relax.Tuple(
        [
            given.emit(relax.op.strided_slice(given["self"], [axis], [end - size], [end])) if size else empty
            for size, end in zip(sizes, ends, strict=True)
        ]
    )


def write_slice(node: Any, importer: Any) -> Any:
    """Convert `slice_scatter(self, src, dim, start, end, step)`."""
    from tvm import relax

    given = Arguments.of(node, importer)
    if 0 in given.shape_of("src"):
        return given["self"]
    axis = int(given["dim"]) % len(given.shape)
    begin, end, step = slice(given["start"], given["end"], given["step"]).indices(given.shape[axis])
    kept = "int8" if given.dtype == "bool" else given.dtype  # LLVM's vectors of truth values are not TVM's
    data, source = given.cast(given["self"], kept), given.cast(given["src"], given.dtype)
    written = relax.op.slice_scatter(data, given.cast(source, kept), begin, end, step, axis)
    return given.cast(given.emit(written), given.dtype)


MOVING: dict[str, Converter] = {
    "_local_scalar_dense.default": number,
    "as_strided.default": as_strided,
    "as_strided_scatter.default": as_strided_scatter,
    "cat.default": join,
    "diagonal_scatter.default": scattered,
    "index_select.default": select_many,
    "embedding.default": embedding,
    "item.default": number,
    "permute.default": permute,
    "select.int": select,
    "slice_scatter.default": write_slice,
    "split_with_sizes.default": split,
}
