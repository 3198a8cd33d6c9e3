"""Writing at places that are computed, in the order of the updates: along an axis, or at tuples of indices.

`ScatterElements`: out[.., index[.., j, ..], ..] = updates[.., j, ..], as torch's `scatter` and ONNX's ScatterElements.
`ScatterSlices`: out[indices[m]] = updates[m], as ONNX's ScatterND and torch's `index_put`.
Indices of any value are safe.

Each step of the parallel loop writes what no other step writes, so that equal inputs give equal results.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tvm import tirx
from tvm.script import tirx as T

from ovenbird.operators.writing.loops import CHUNK, inside, is_float, is_nan, spread, strides, unravel
from ovenbird.operators.writing.own import ImageLayout, OwnOperator, Spec

Reduction = Literal["none", "sum", "product", "maximum", "minimum", "mean"]


def combined(old: Any, new: Any, reduction: Reduction) -> Any:
    """Return the value of a place that was `old` and receives `new`; NaN stays."""
    dtype = str(new.ty.dtype)
    if dtype == "bool":  # sums and maxima are "or", products and minima "and"
        return {"none": new, "sum": tirx.any(old, new), "maximum": tirx.any(old, new)}.get(
            reduction, tirx.all(old, new)
        )
    if reduction in ("sum", "mean"):
        return old + new
    if reduction == "product":
        return old * new
    if reduction == "none":
        return new
    better = new > old if reduction == "maximum" else new < old
    return tirx.Select(tirx.any(better, is_nan(new)) if is_float(dtype) else better, new, old)


@dataclass(frozen=True)
class ScatterElements(OwnOperator):
    """Inputs: data, index, updates. An update for each index; both may be smaller than the data.

    `include_self`: whether what the data holds counts in a reduction.
    """

    name = "scatter_elements"
    axis: int
    reduction: Reduction = "none"
    include_self: bool = True

    def outputs(self, inputs: Sequence[Spec]) -> tuple[Spec, ...]:
        """Return a tensor like the data."""
        return (inputs[0],)

    def scratch(self, inputs: Sequence[Spec]) -> tuple[Spec, ...]:
        """Return how many updates each place received, where that matters."""
        counted = self.reduction == "mean" or not self.include_self
        return (Spec((inputs[0].size,) if counted else (1,), "int32"),)

    def kernel(self, inputs: Sequence[Spec], layout: ImageLayout) -> tirx.PrimFunc:
        """Return the copy, and the writing of all rows of updates."""
        return elements_kernel(inputs, self)


def elements_kernel(inputs: Sequence[Spec], options: ScatterElements) -> tirx.PrimFunc:
    """Return the function over data, index, updates, result and counts."""
    data_spec, index_spec, update_spec = inputs
    axis, reduction, size = options.axis, options.reduction, data_spec.size
    counted, include_self = options.scratch(inputs)[0].size > 1 or size == 1, options.include_self
    counted = counted and (reduction == "mean" or not include_self)
    mean = reduction == "mean"
    others = [extent for place, extent in enumerate(index_spec.shape) if place != axis]
    rows, count = math.prod(others), index_spec.shape[axis]
    steps = {spec: strides(spec.shape) for spec in inputs}
    dtype, index_dtype, extent = data_spec.dtype, index_spec.dtype, data_spec.shape[axis]
    index_size, update_size, counts_size = index_spec.size, update_spec.size, size if counted else 1
    chunks = -(-size // CHUNK)

    def at(spec: Spec, row: Any, place: Any) -> Any:
        places = unravel(row, others)
        places.insert(axis, place)
        return sum((p * step for p, step in zip(places, steps[spec], strict=True)), 0)

    def averaged(value: Any, count: Any) -> Any:
        total = count + 1 if include_self else count
        if is_float(dtype):
            return value / tirx.Cast(dtype, tirx.max(total, 1))
        return tirx.floordiv(value, tirx.Cast(dtype, tirx.max(total, 1)))

    @T.prim_func  # type: ignore[untyped-decorator]
    def scatter_elements(  # type: ignore[no-untyped-def]
        data_handle: T.handle,
        index_handle: T.handle,
        updates_handle: T.handle,
        result_handle: T.handle,
        counts_handle: T.handle,
    ):
        data = T.match_buffer(data_handle, (size,), dtype)
        index = T.match_buffer(index_handle, (index_size,), index_dtype)
        updates = T.match_buffer(updates_handle, (update_size,), dtype)
        result = T.match_buffer(result_handle, (size,), dtype)
        counts = T.match_buffer(counts_handle, (counts_size,), "int32")
        for chunk in spread(chunks, size):
            for lane in T.serial(T.min(CHUNK, size - chunk * CHUNK)):
                result[chunk * CHUNK + lane] = data[chunk * CHUNK + lane]
                if counted:
                    counts[chunk * CHUNK + lane] = 0
        for row in spread(rows, rows * count):
            for step in T.serial(count):
                place: T.let = at(data_spec, row, inside(index[at(index_spec, row, step)], extent))
                update: T.let = updates[at(update_spec, row, step)]
                if counted:
                    if tirx.all(tirx.Not(include_self), counts[place] == 0):
                        result[place] = update
                    else:
                        result[place] = combined(result[place], update, reduction)
                    counts[place] = counts[place] + 1
                else:
                    result[place] = combined(result[place], update, reduction)
        if mean:
            for chunk in spread(chunks, size):
                for lane in T.serial(T.min(CHUNK, size - chunk * CHUNK)):
                    if counts[chunk * CHUNK + lane] > 0:
                        result[chunk * CHUNK + lane] = averaged(
                            result[chunk * CHUNK + lane], counts[chunk * CHUNK + lane]
                        )

    return scatter_elements


@dataclass(frozen=True)
class ScatterSlices(OwnOperator):
    """Inputs: data [d0, ..., dn], indices [..., q], updates [..., dq, ..., dn]."""

    name = "scatter_slices"
    reduction: Reduction = "none"

    def outputs(self, inputs: Sequence[Spec]) -> tuple[Spec, ...]:
        """Return a tensor like the data."""
        return (inputs[0],)

    def kernel(self, inputs: Sequence[Spec], layout: ImageLayout) -> tirx.PrimFunc:
        """Return the copy, and the writing of all slices."""
        return slices_kernel(inputs, self.reduction)


def slices_kernel(inputs: Sequence[Spec], reduction: Reduction) -> tirx.PrimFunc:
    """Return the function over data, indices, updates and result."""
    data_spec, index_spec, update_spec = inputs
    depth = index_spec.shape[-1]
    extents, steps = data_spec.shape[:depth], strides(data_spec.shape)[:depth]
    tuples, length = math.prod(index_spec.shape[:-1]), math.prod(data_spec.shape[depth:])
    size, dtype, index_dtype = data_spec.size, data_spec.dtype, index_spec.dtype
    index_size, update_size = index_spec.size, update_spec.size
    chunks, strips = -(-size // CHUNK), -(-length // CHUNK)

    def start(indices: Any, m: Any) -> Any:
        places = [inside(indices[m * depth + axis], extents[axis]) for axis in range(depth)]
        return sum((place * step for place, step in zip(places, steps, strict=True)), tirx.const(0, "int32"))

    @T.prim_func  # type: ignore[untyped-decorator]
    def scatter_slices(  # type: ignore[no-untyped-def]
        data_handle: T.handle, indices_handle: T.handle, updates_handle: T.handle, result_handle: T.handle
    ):
        data = T.match_buffer(data_handle, (size,), dtype)
        indices = T.match_buffer(indices_handle, (index_size,), index_dtype)
        updates = T.match_buffer(updates_handle, (update_size,), dtype)
        result = T.match_buffer(result_handle, (size,), dtype)
        for chunk in spread(chunks, size):
            for lane in T.serial(T.min(CHUNK, size - chunk * CHUNK)):
                result[chunk * CHUNK + lane] = data[chunk * CHUNK + lane]
        for strip in spread(strips, update_size):
            for m in T.serial(tuples):
                first: T.let = start(indices, m) + strip * CHUNK
                for lane in T.serial(T.min(CHUNK, length - strip * CHUNK)):
                    result[first + lane] = combined(
                        result[first + lane], updates[m * length + strip * CHUNK + lane], reduction
                    )

    return scatter_slices
