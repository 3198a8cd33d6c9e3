"""Pooling over windows: of images, signals and volumes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from tvm import relax

from ovenbird.networks.onnx.converters.layers.convolutions import LAYOUTS, spatial, steps
from ovenbird.networks.onnx.converters.maps.elementwise import scalar
from ovenbird.networks.onnx.converters.structure.padding import padded, sides
from ovenbird.networks.onnx.node import Node, OnnxConverter, literal
from ovenbird.operators.indexing.scatter import ScatterElements
from ovenbird.operators.writing.own import own_call

MAXIMA: tuple[Callable[..., relax.Expr], ...] = (
    relax.op.nn.max_pool1d, relax.op.nn.max_pool2d, relax.op.nn.max_pool3d,
)  # fmt: skip
MEANS: tuple[Callable[..., relax.Expr], ...] = (
    relax.op.nn.avg_pool1d, relax.op.nn.avg_pool2d, relax.op.nn.avg_pool3d,
)  # fmt: skip


class _Windows:
    """The windows of a pooling node: how they lie, and how far the last ones reach."""

    def __init__(self, node: Node) -> None:
        self.shape = node.shape(0)
        self.count = spatial(node, self.shape)
        self.kernel = list(node.attribute("kernel_shape"))
        self.strides = steps(node, "strides", self.count)
        self.dilations = steps(node, "dilations", self.count)
        extents = self.shape[2:]
        self.before, after = sides(node, extents, self.kernel, self.strides, self.dilations)
        self.given = list(after)
        self.after = []
        self.results = []
        rounding_up = bool(node.attribute("ceil_mode", 0)) and node.attribute("auto_pad", "NOTSET") == "NOTSET"
        for extent, window, stride, dilation, first, last in zip(
            extents, self.kernel, self.strides, self.dilations, self.before, after, strict=True
        ):
            reach = (window - 1) * dilation + 1
            room = extent + first + last - reach
            places = (-(-room // stride) if rounding_up else room // stride) + 1
            if rounding_up and (places - 1) * stride >= extent + first:
                places -= 1  # a window that begins beyond the image is none
            if places < 1:
                raise node.refuse(f"a window of {reach} does not fit {extent + first + last} elements")
            self.results.append(places)
            follows = room // stride + 1 == places
            self.after.append(last if follows else max(0, (places - 1) * stride + reach - extent - first))

    def around(self) -> tuple[list[int], list[int]]:
        """Return the padding for all dimensions of the tensor."""
        return [0, 0, *self.before], [0, 0, *self.after]

    def counts(self, include_padding: bool) -> np.ndarray:
        """Return how many elements each window holds, `[1, 1, ...]`."""
        total = np.ones((1, 1, *self.results))
        for axis, (extent, window, stride, dilation, first, last) in enumerate(
            zip(self.shape[2:], self.kernel, self.strides, self.dilations, self.before, self.given, strict=True)
        ):
            begins = np.arange(self.results[axis]) * stride - first
            places = begins[:, None] + np.arange(window) * dilation
            low, high = (-first, extent + last) if include_padding else (0, extent)
            held = ((places >= low) & (places < high)).sum(1)
            total = total * held.reshape([-1 if place == axis + 2 else 1 for place in range(2 + self.count)])
        return total


def largest(node: Node) -> relax.Expr | tuple[relax.Expr, ...]:
    """`MaxPool`; places of the largest are not computed."""
    windows = _Windows(node)
    if len(node.outputs) > 1 and node.outputs[1]:
        return with_places(node, windows)
    data, before, after = node.tensor(0), windows.before, windows.after
    if not node.dtype(0).startswith("float"):  # TVM pads whole numbers with less than they can hold
        data = padded(node, data, *windows.around(), value=int(np.iinfo(node.dtype(0)).min))
        before = after = [0] * windows.count
    return MAXIMA[windows.count - 1](
        data,
        pool_size=windows.kernel,
        strides=windows.strides,
        padding=[*before, *after],
        dilation=windows.dilations,
        layout=LAYOUTS[windows.count][0],
    )


def with_places(node: Node, windows: _Windows) -> tuple[relax.Expr, ...]:
    """Return the largest of each window, and where in the flattened tensor it is."""
    taps = gathered(node, windows, -math.inf)
    best = node.emit(relax.op.argmax(taps, -1, keepdims=False))
    found = node.emit(relax.op.max(taps, -1, keepdims=False))
    places = np.zeros((*windows.results, math.prod(windows.kernel)), np.int64)
    factor, spread = 1, windows.shape[2:]
    column = bool(node.attribute("storage_order", 0))
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in windows.kernel), indexing="ij")).reshape(windows.count, -1)
    for axis in range(windows.count) if column else reversed(range(windows.count)):
        begins = np.arange(windows.results[axis]) * windows.strides[axis] - windows.before[axis]
        at = begins[:, None] + grid[axis] * windows.dilations[axis]
        aligned = [1] * windows.count + [at.shape[1]]
        aligned[axis] = at.shape[0]
        places = places + np.clip(at, 0, spread[axis] - 1).reshape(aligned) * factor
        factor *= spread[axis]
    flat = literal(places.reshape(-1))
    window = math.prod(windows.kernel)
    base = literal((np.arange(math.prod(windows.results)) * window).reshape(windows.results))
    inside = node.emit(relax.op.take(flat, node.emit(relax.op.add(best, base)), 0))
    images = np.arange(windows.shape[0] * windows.shape[1]) * math.prod(spread)
    start = literal(images.reshape(windows.shape[0], windows.shape[1], *[1] * windows.count))
    return found, node.emit(relax.op.add(inside, start))


def gathered(node: Node, windows: _Windows, value: float) -> relax.Expr:
    """Return the elements of each window as a last dimension."""
    if not node.dtype(0).startswith("float"):
        value = int(np.iinfo(node.dtype(0)).min)
    data = padded(node, node.tensor(0), *windows.around(), value=value)
    axes = list(range(2, 2 + windows.count))
    parts = []
    for tap in np.ndindex(*windows.kernel):
        begins = [place * dilation for place, dilation in zip(tap, windows.dilations, strict=True)]
        ends = [
            begin + (places - 1) * stride + 1
            for begin, places, stride in zip(begins, windows.results, windows.strides, strict=True)
        ]
        part = node.emit(relax.op.strided_slice(data, axes, begins, ends, windows.strides))
        parts.append(node.emit(relax.op.expand_dims(part, -1)))
    return node.emit(relax.op.concat(parts, -1)) if len(parts) > 1 else parts[0]


def average(node: Node) -> relax.Expr:
    """`AveragePool`: the border counts, or does not."""
    windows = _Windows(node)
    include = bool(node.attribute("count_include_pad", 0))
    exact = windows.given == windows.after or not include
    if exact and all(step == 1 for step in windows.dilations):
        return MEANS[windows.count - 1](
            node.tensor(0),
            pool_size=windows.kernel,
            strides=windows.strides,
            padding=[*windows.before, *windows.after],
            count_include_pad=include,
            layout=LAYOUTS[windows.count][0],
        )
    return relax.op.divide(total(node, windows, node.tensor(0)), literal(windows.counts(include).astype(node.dtype(0))))


def total(node: Node, windows: _Windows, data: relax.Expr) -> relax.Var:
    """Return the sum of each window, zeros beyond the border."""
    data = padded(node, data, *windows.around())
    axes = list(range(2, 2 + windows.count))
    result = None
    for tap in np.ndindex(*windows.kernel):
        begins = [place * dilation for place, dilation in zip(tap, windows.dilations, strict=True)]
        ends = [
            begin + (places - 1) * stride + 1
            for begin, places, stride in zip(begins, windows.results, windows.strides, strict=True)
        ]
        part = node.emit(relax.op.strided_slice(data, axes, begins, ends, windows.strides))
        result = part if result is None else node.emit(relax.op.add(result, part))
    return result


def lp_pool(node: Node) -> relax.Expr:
    """`LpPool`: the p-norm of each window."""
    p = float(node.attribute("p", 2))
    powers = _powers(node, p)
    return _root(node, total(node, _Windows(node), powers), p)


def _powers(node: Node, p: float) -> relax.Expr:
    sizes = node.emit(relax.op.abs(node.tensor(0)))
    if p == 1:
        return sizes
    return node.emit(relax.op.multiply(sizes, sizes) if p == 2 else relax.op.power(sizes, scalar(node, p)))


def _root(node: Node, value: relax.Expr, p: float) -> relax.Expr:
    if p == 1:
        return value
    return relax.op.sqrt(value) if p == 2 else relax.op.power(value, scalar(node, 1 / p))


def global_pool(reduce: Callable[..., relax.Expr]) -> OnnxConverter:
    """Pooling over all but batch and channels."""
    return lambda node: reduce(node.tensor(0), all_places(node.shape(0)), keepdims=True)


def global_average(node: Node) -> relax.Expr:
    """`GlobalAveragePool`."""
    if len(node.shape(0)) == 4:
        return relax.op.nn.adaptive_avg_pool2d(node.tensor(0), output_size=[1, 1], layout="NCHW")
    return relax.op.mean(node.tensor(0), all_places(node.shape(0)), keepdims=True)


def global_lp(node: Node) -> relax.Expr:
    """`GlobalLpPool`."""
    p = float(node.attribute("p", 2))
    powers = node.emit(relax.op.sum(_powers(node, p), all_places(node.shape(0)), keepdims=True))
    return _root(node, powers, p)


def unpooled(node: Node) -> relax.Expr:
    """`MaxUnpool(x, places, shape)`: each number at the place that `MaxPool` took it from, zeros elsewhere."""
    shape = list(node.shape(0))
    count = spatial(node, shape)
    kernel, strides = list(node.attribute("kernel_shape")), steps(node, "strides", count)
    pads = list(node.attribute("pads") or [0] * 2 * count)
    for axis in range(count):
        room = pads[axis] + pads[axis + count]
        shape[axis + 2] = (shape[axis + 2] - 1) * strides[axis] + kernel[axis] - room
    given = math.prod(node.shape(0))
    values, places = (node.emit(relax.op.reshape(node.tensor(index), [given])) for index in (0, 1))
    empty = node.emit(relax.op.zeros([math.prod(shape)], node.dtype(0)))
    flat = node.emit(own_call(ScatterElements(0, "none"), empty, places, values))
    found = node.emit(relax.op.reshape(flat, shape))
    wanted = node.integers(2, "output_shape") if node.has(2) else shape
    if any(have > want for have, want in zip(shape, wanted, strict=True)):
        raise node.refuse(f"the output_shape {wanted} is smaller than {shape}, to which its windows lead back")
    return padded(node, found, [0] * len(shape), [want - have for have, want in zip(shape, wanted, strict=True)])


def all_places(shape: Sequence[int]) -> list[int]:
    """Return all axes but batch and channels."""
    return list(range(2, len(shape)))


POOLING: dict[str, OnnxConverter] = {
    "AveragePool": average,
    "GlobalAveragePool": global_average,
    "GlobalLpPool": global_lp,
    "GlobalMaxPool": global_pool(relax.op.max),
    "LpPool": lp_pool,
    "MaxPool": largest,
    "MaxUnpool": unpooled,
}
