"""Pooling of regions by sampling between pixels: torchvision's `roi_align`, ONNX's RoiAlign (He et al. 2017).

Example: `RoiAlign((7, 7), 0.25, 2, aligned=True)` of [1, 256, 50, 50] and [150, 5] gives [150, 256, 7, 7].
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from ovenbird.operators.vision.bilinear import Pixel, locate, mix, products
from ovenbird.operators.writing.loops import clamped, held, hold, inside, spread, write_kernel
from ovenbird.operators.writing.own import ImageLayout, OwnOperator, Spec

MOST_SAMPLES = 1024.0
"""Samples along one axis of a bin, where the region's size decides: a region of thousands of pixels has as many."""


@dataclass(frozen=True)
class RoiAlign(OwnOperator):
    """Inputs: image and regions [K, 5], each the image's index, left, top, right, bottom.

    `samples`: along each axis of a bin; 0: one for each pixel of the bin. `aligned`: pixels' centres are at 0.5.
    `mode`: of the samples of a bin the mean, or the largest weighted pixel (as ONNX Runtime reads "max").
    """

    name = "roi_align"
    image_input = image_output = True
    output: tuple[int, int]
    scale: float
    samples: int
    aligned: bool
    mode: Literal["avg", "max"] = "avg"

    def outputs(self, inputs: Sequence[Spec]) -> tuple[Spec, ...]:
        """Return an image of the output's size for each region."""
        return (Spec((inputs[1].shape[0], inputs[0].shape[1], *self.output), inputs[0].dtype),)

    def kernel(self, inputs: Sequence[Spec], layout: ImageLayout) -> tirx.PrimFunc:
        """Return the pooling of all regions."""
        return roi_align_kernel(inputs, layout, self)


def roi_align_kernel(inputs: Sequence[Spec], layout: ImageLayout, options: RoiAlign) -> tirx.PrimFunc:
    """Return the function over image, regions and result."""
    image, regions = inputs
    (output,) = options.outputs(inputs)
    sampling = Sampling(options.samples, options.aligned, options.mode)

    def body(data: Any, boxes: Any, result: Any) -> None:
        write_regions([Level(data, image.shape, options.scale)], None, boxes, result, output.shape, layout, sampling)

    buffers = [(layout.shape(image.shape), image.dtype), ((regions.size,), regions.dtype)]
    return write_kernel(options.name, [*buffers, (layout.shape(output.shape), output.dtype)], body)


class Level(NamedTuple):
    """A buffer that holds images, their shape, and how many of their pixels are one of the regions'."""

    image: Any
    shape: Sequence[int]
    scale: float


class Sampling(NamedTuple):
    """The options of `RoiAlign` that are the same for all levels."""

    samples: int
    aligned: bool
    mode: str = "avg"


def write_regions(
    levels: Sequence[Level],
    chosen: Any,
    boxes: Any,
    result: Any,
    output: Sequence[int],
    layout: ImageLayout,
    sampling: Sampling,
) -> None:
    """Write the loops over the bins of all regions; `chosen`: a buffer of each region's level, None where one is all.

    `output`: [K, C, rows, columns].
    """
    regions, channels, rows, columns = output
    groups, count = layout.groups(channels), layout.count(channels)
    work = math.prod(layout.shape(output)) * 16
    with spread(regions * rows * columns * count, work) as task:
        region = task // (rows * columns * count)
        bin_place = (task // (columns * count) % rows, task // count % columns)
        part = task % count * groups
        for number, level in enumerate(levels):
            with contextlib.ExitStack() as stack:
                if chosen is not None:
                    stack.enter_context(T.If(tirx.EQ(held(chosen[region], len(levels)), number)))
                    stack.enter_context(T.Then())
                write_bin(level, boxes, result, (rows, columns), region, bin_place, part, layout, sampling)


def write_bin(
    level: Level,
    boxes: Any,
    result: Any,
    bins: tuple[int, int],
    region: Any,
    bin_place: tuple[Any, Any],
    part: Any,
    layout: ImageLayout,
    sampling: Sampling,
) -> None:
    """Write one bin of a region: the groups of channels from `part` on."""
    images, channels, height, width = level.shape
    groups, lanes = layout.groups(channels), layout.lanes()
    zero, mean, dtype = tirx.const(0.0, "float32"), sampling.mode == "avg", str(result.dtype)

    def edge(side: int) -> Any:
        value = tirx.Cast("float32", boxes[region * 5 + side]) * tirx.const(level.scale, "float32")
        return hold(value - tirx.const(0.5, "float32") if sampling.aligned else value)

    def steps(length: Any, count: int) -> Any:
        if sampling.samples > 0:
            return tirx.const(sampling.samples, "int32")
        share = tirx.ceil(length / tirx.const(float(count), "float32"))
        return tirx.Cast("int32", clamped(share, 0.0, MOST_SAMPLES))

    source = inside(tirx.Cast("int32", clamped(boxes[region * 5], 0.0, float(images - 1))), images)
    starts, ends = (edge(2), edge(1)), (edge(4), edge(3))
    one = tirx.const(1.0, "float32")
    lengths = [end - start for start, end in zip(starts, ends, strict=True)]
    lengths = [hold(length if sampling.aligned else tirx.max(length, one)) for length in lengths]
    # A region whose samples are all more than a pixel outside has none: they count as zeros.
    away = [start + length < -one for start, length in zip(starts, lengths, strict=True)]
    away += [start > tirx.const(float(size), "float32") for start, size in zip(starts, (height, width), strict=True)]
    down = hold(tirx.Select(tirx.any(*away), tirx.const(0, "int32"), steps(lengths[0], bins[0])))
    across = hold(steps(lengths[1], bins[1]))

    def place(axis: int, step: Any, count: Any) -> Any:
        extent = lengths[axis] / tirx.const(float(bins[axis]), "float32")
        inner = (tirx.Cast("float32", step) + tirx.const(0.5, "float32")) * extent / tirx.Cast("float32", count)
        return starts[axis] + tirx.Cast("float32", bin_place[axis]) * extent + inner

    places = T.alloc_buffer((4,), "int32", scope="local")
    weights = T.alloc_buffer((4,), "float32", scope="local")
    totals = T.alloc_buffer((groups * lanes,), "float32", scope="local")

    def joined(total: Any, first: Any, pixel: Pixel) -> Any:
        if mean:
            return total + mix(places, weights, pixel)
        values = products(places, weights, pixel)
        largest = tirx.max(tirx.max(values[0], values[1]), tirx.max(values[2], values[3]))
        return tirx.Select(first, largest, tirx.max(total, largest))

    def pixel_of(group: Any, lane: Any) -> Pixel:
        return lambda r, c: tirx.Cast("float32", level.image[layout.at(source, part + group, (r, c), lane)])

    with T.serial(groups * lanes) as element:
        T.buffer_store(totals, zero, [element])
    with T.serial(down) as y, T.serial(across) as x:
        locate(places, weights, place(0, y, down), place(1, x, across), (height, width), edge=True)
        with T.serial(groups) as group, T.vectorized(lanes) as lane:
            at = group * lanes + lane
            T.buffer_store(totals, joined(totals[at], tirx.EQ(y + x, 0), pixel_of(group, lane)), [at])
    share = hold(one / tirx.Cast("float32", tirx.max(down * across, 1)) if mean else one)
    with T.serial(groups) as group, T.vectorized(lanes) as lane:
        total = tirx.Cast(dtype, totals[group * lanes + lane] * share)
        T.buffer_store(result, total, layout.at(region, part + group, bin_place, lane))
