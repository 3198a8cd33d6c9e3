"""Pooling as torch counts: windows that `ceil_mode` adds, divisors, and the places of maxima.

Images have one to three spatial dimensions, with or without a batch before the channels.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ovenbird.networks.torch.converters.converter import Arguments, Converter
from ovenbird.networks.torch.converters.resizing import apply_matrix

LAYOUTS = {1: "NCW", 2: "NCHW", 3: "NCDHW"}


@dataclass(frozen=True)
class _Windows:
    """Where the windows of a pool stand: one number for each spatial dimension."""

    image: list[int]
    result: list[int]
    kernel: list[int]
    stride: list[int]
    padding: list[int]
    dilation: list[int]

    @classmethod
    def of(cls, given: Arguments, sides: int) -> _Windows:
        """Read them; torch lets one number stand for all dimensions, and an empty stride for the kernel."""

        def each(name: str, default: list[int]) -> list[int]:
            found = given.values.get(name)
            found = default if found is None or found == [] else found
            found = [int(one) for one in (found if isinstance(found, (list, tuple)) else [found])]
            return found * sides if len(found) == 1 else found

        kernel = each("kernel_size", [])
        ones = [1] * sides
        return cls(
            given.shape_of("self")[-sides:],
            given.shape[-sides:],
            kernel,
            each("stride", kernel),
            each("padding", [0] * sides),
            each("dilation", ones),
        )

    @property
    def after(self) -> list[int]:
        """How much of nothing the last windows need behind the image, for each dimension."""
        return [
            max(0, (result - 1) * stride + dilation * (kernel - 1) + 1 - padding - image)
            for image, result, kernel, stride, padding, dilation in zip(
                self.image, self.result, self.kernel, self.stride, self.padding, self.dilation, strict=True
            )
        ]

    @property
    def pads(self) -> list[int]:
        """What goes around the image: the padding, and behind it what `ceil_mode` asks for beyond."""
        return self.padding + [max(pair) for pair in zip(self.padding, self.after, strict=True)]

    @property
    def grown(self) -> bool:
        """Whether `ceil_mode` added windows that reach beyond the padding."""
        return self.pads[len(self.image) :] != self.padding

    def counts(self, include_pad: bool) -> np.ndarray:
        """Return how many numbers each window is divided by, as `avg_pool` counts them."""
        sides = []
        for image, result, kernel, stride, padding in zip(
            self.image, self.result, self.kernel, self.stride, self.padding, strict=True
        ):
            begin = np.arange(result) * stride - padding
            end = np.minimum(begin + kernel, image + padding)
            sides.append(end - begin if include_pad else np.minimum(end, image) - np.maximum(begin, 0))
        counts: np.ndarray = np.prod(np.stack(np.meshgrid(*sides, indexing="ij")), axis=0)
        return counts


def average(sides: int, pool: Callable[..., Any]) -> Converter:
    """Return a converter of `avg_poolNd`; `pool` is Relax's operator."""

    def convert(node: Any, importer: Any) -> Any:
        from tvm import relax

        given = Arguments.of(node, importer)
        windows = _Windows.of(given, sides)
        data = in_batch(given, sides)
        divisor, include_pad = given.values.get("divisor_override"), bool(given["count_include_pad"])
        around = {"layout": LAYOUTS[sides]}
        if divisor is None and not windows.grown:
            pooled = pool(
                data, windows.kernel, windows.stride, windows.padding, count_include_pad=include_pad, **around
            )
            return as_given(given, given.emit(pooled))
        # the sum of a window is its average with every place counted, those of the padding too
        pooled = given.emit(pool(data, windows.kernel, windows.stride, windows.pads, count_include_pad=True, **around))
        counts = windows.counts(include_pad) if divisor is None else np.full(windows.result, divisor)
        factors = relax.const((np.prod(windows.kernel) / counts).astype(given.dtype))
        return as_given(given, given.emit(relax.op.multiply(pooled, factors)))

    return convert


def maximum_with_places(sides: int, pool: Callable[..., Any]) -> Converter:
    """Return a converter of `max_poolNd_with_indices`: the maxima, and where in the flat image the first of each is."""

    def convert(node: Any, importer: Any) -> Any:
        from tvm import relax

        given = Arguments.of(node, importer)
        windows = _Windows.of(given, sides)
        pads = windows.pads if windows.grown else windows.padding
        pooled = pool(
            in_batch(given, sides), windows.kernel, windows.stride, pads, windows.dilation, layout=LAYOUTS[sides]
        )
        largest = as_given(given, given.emit(pooled))
        asked = any(user.args[1] == 1 and user.users for user in node.users)
        return given.emit(relax.Tuple([largest, _places(given, windows) if asked else largest]))

    return convert


def in_batch(given: Arguments, sides: int) -> Any:
    """Return the image with a batch before its channels."""
    from tvm import relax

    shape = given.shape_of("self")
    return given["self"] if len(shape) == sides + 2 else given.emit(relax.op.reshape(given["self"], [1, *shape]))


def as_given(given: Arguments, result: Any) -> Any:
    """Return the result without the batch that the image did not have."""
    from tvm import relax

    if len(result.ty.shape) == len(given.shape):
        return result
    return given.emit(relax.op.reshape(result, given.shape))


def _places(given: Arguments, windows: _Windows) -> Any:
    """Lay the places of each window side by side, find the first of the largest, and say where it is."""
    from tvm import relax

    op = relax.op
    data, sides, shape = given["self"], len(windows.image), given.shape
    first = len(shape) - sides
    if any(windows.pads):
        widths = [width for pair in zip(windows.pads[:sides], windows.pads[sides:], strict=True) for width in pair]
        least = -np.inf if given.dtype.startswith("float") else int(np.iinfo(given.dtype).min)
        data = given.emit(op.nn.pad(data, [0, 0] * first + widths, "constant", least))
    axes = list(range(first, len(shape)))
    slices = []
    for places in itertools.product(*map(range, windows.kernel)):
        begin = [place * dilation for place, dilation in zip(places, windows.dilation, strict=True)]
        ends = [
            start + (result - 1) * stride + 1
            for start, result, stride in zip(begin, windows.result, windows.stride, strict=True)
        ]
        here = given.emit(op.strided_slice(data, axes, begin, ends, windows.stride))
        slices.append(given.emit(op.expand_dims(here, first)))
    chosen = given.emit(op.argmax(given.emit(op.concat(slices, first)), first))
    chosen = given.cast(chosen, "int64")
    flat: Any = None
    for axis in range(sides):
        inner = int(np.prod(windows.kernel[axis + 1 :]))
        place = given.emit(op.floor_mod(op.floor_divide(chosen, _whole(inner)), _whole(windows.kernel[axis])))
        begin_at = np.arange(windows.result[axis]) * windows.stride[axis] - windows.padding[axis]
        around = [-1 if place_axis == axis else 1 for place_axis in range(sides)]
        start = relax.const(begin_at.reshape(around), "int64")
        place = given.emit(op.add(op.multiply(place, _whole(windows.dilation[axis])), start))
        place = given.emit(op.multiply(place, _whole(int(np.prod(windows.image[axis + 1 :])))))
        flat = place if flat is None else given.emit(op.add(flat, place))
    return flat


def _whole(number: int) -> Any:
    from tvm import relax

    return relax.const(number, "int64")


def adaptive_maximum(sides: int) -> Converter:
    """Return a converter of `adaptive_max_poolNd`: windows that share the image out evenly, and may overlap.

    The largest of a window is taken one dimension after the other; where it is, of all its places side by side.
    """

    def convert(node: Any, importer: Any) -> Any:
        from tvm import relax

        op = relax.op
        given = Arguments.of(node, importer)
        asked = any(user.args[1] == 1 and user.users for user in node.users)
        data, shape = given["self"], given.shape_of("self")
        for axis in range(len(shape) - sides, len(shape)):
            places = _shares(shape[axis], given.shape[axis])
            data = given.emit(op.take(data, relax.const(places.reshape(-1)), axis, mode="clip"))
            apart = [*shape[:axis], *places.shape, *shape[axis + 1 :]]
            data = given.emit(op.max(given.emit(op.reshape(data, apart)), axis + 1))
            shape[axis] = given.shape[axis]
        return given.emit(relax.Tuple([data, _places_in_shares(given, sides) if asked else data]))

    return convert


def _places_in_shares(given: Arguments, sides: int) -> Any:
    """Return where in the flat image the first of each window's maxima is."""
    from tvm import relax

    op = relax.op
    shape, result = given.shape_of("self"), given.shape
    image, windows = shape[-sides:], result[-sides:]
    flat: Any = 0
    for axis in range(sides):  # of every window, its places: a dimension a side for each
        share = _shares(image[axis], windows[axis]) * int(np.prod(image[axis + 1 :]))
        around = [1] * (2 * sides)
        around[axis], around[sides + axis] = share.shape
        flat = flat + share.reshape(around)
    table = flat.reshape(int(np.prod(windows)), -1)
    data = given.emit(op.reshape(given["self"], [*shape[:-sides], int(np.prod(image))]))
    inside = given.emit(op.take(data, relax.const(table.reshape(-1)), len(shape) - sides, mode="clip"))
    inside = given.emit(op.reshape(inside, [int(np.prod(shape[:-sides])), *table.shape]))
    best = given.cast(given.emit(op.argmax(inside, 2)), "int64")
    start = relax.const(np.arange(len(table)) * table.shape[1], "int64")
    where = given.emit(
        op.take(relax.const(table.reshape(-1), "int64"), given.emit(op.add(best, start)), 0, mode="clip")
    )
    return given.emit(op.reshape(where, result))


def adaptive_average(node: Any, importer: Any) -> Any:
    """Convert `adaptive_avg_poolNd`: of an image Relax's own, else each dimension times the matrix of its windows."""
    from tvm import relax

    given = Arguments.of(node, importer)
    data, shape, sides = given["self"], given.shape_of("self"), len(given["output_size"])
    axes = list(range(len(shape) - sides, len(shape)))
    if all(given.shape[axis] == 1 for axis in axes):
        return given.emit(relax.op.mean(data, axes, True))
    if axes == [2, 3] and str(data.ty.dtype) == "float32":
        return given.emit(relax.op.nn.adaptive_avg_pool2d(data, given.shape[2:]))
    for axis in axes:
        places = _shares(shape[axis], given.shape[axis])
        matrix = np.zeros((given.shape[axis], shape[axis]), np.float64)
        for row, window in zip(matrix, places, strict=True):
            row[window] = 1 / len(set(window))
        if given.shape[axis] != shape[axis]:
            data = apply_matrix(given, data, matrix.astype(np.float32), axis)
    return data


def _shares(before: int, after: int) -> np.ndarray:
    """Return the places of each window, the last repeated to equal length: [after, longest]."""
    begin = np.arange(after) * before // after
    end = -(-(np.arange(after) + 1) * before // after)
    places: np.ndarray = np.minimum(begin[:, None] + np.arange((end - begin).max()), end[:, None] - 1)
    return places.astype(np.int64)
