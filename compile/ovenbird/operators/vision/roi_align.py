"""Pooling of regions by sampling between pixels: torchvision's `roi_align`, ONNX's RoiAlign (He et al. 2017).

Example: `RoiAlign((7, 7), 0.25, 2, aligned=True)` of [1, 256, 50, 50] and [150, 5] gives [150, 256, 7, 7].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tvm import tirx
from tvm.script import tirx as T

from ovenbird.operators.loops import clamped, inside, spread
from ovenbird.operators.own import ImageLayout, OwnOperator, Spec
from ovenbird.operators.vision.bilinear import Pixel, locate, mix, products

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
    (shape, dtype), region_spec = inputs
    images, channels, height, width = shape
    regions, (rows, columns) = region_spec.shape[0], options.output
    groups, count, lanes = layout.groups(channels), layout.count(channels), layout.lanes()
    image_shape, output_shape = layout.shape(shape), layout.shape(options.outputs(inputs)[0].shape)
    bins, mean, size, accumulators = rows * columns, options.mode == "avg", region_spec.size, groups * lanes
    work = math.prod(output_shape) * 16

    def edge(region: Any, boxes: Any, side: int) -> Any:
        value = tirx.Cast("float32", boxes[region * 5 + side]) * tirx.const(options.scale, "float32")
        return value - tirx.const(0.5, "float32") if options.aligned else value

    def start(region: Any, boxes: Any, axis: int) -> Any:
        """Return where a region begins along y (0) or x (1), in pixels of the image."""
        return edge(region, boxes, 2 - axis)

    def length(region: Any, boxes: Any, axis: int) -> Any:
        extent = edge(region, boxes, 4 - axis) - edge(region, boxes, 2 - axis)
        return extent if options.aligned else tirx.max(extent, tirx.const(1.0, "float32"))

    def samples(length: Any, bins: int) -> Any:
        if options.samples > 0:
            return tirx.const(options.samples, "int32")
        share = tirx.ceil(length / tirx.const(float(bins), "float32"))
        return tirx.Cast("int32", clamped(share, 0.0, MOST_SAMPLES))

    def seen(top: Any, left: Any, tall: Any, wide: Any, steps: Any) -> Any:
        """Return no samples for a region whose samples are all more than a pixel outside, and count as zeros."""
        away = [end < tirx.const(-1.0, "float32") for end in (top + tall, left + wide)]
        away += [begin > tirx.const(float(extent), "float32") for begin, extent in ((top, height), (left, width))]
        return tirx.Select(tirx.any(*away), tirx.const(0, "int32"), steps)

    def place(start: Any, length: Any, bins: int, index: Any, step: Any, steps: Any) -> Any:
        extent = length / tirx.const(float(bins), "float32")
        inner = (tirx.Cast("float32", step) + tirx.const(0.5, "float32")) * extent / tirx.Cast("float32", steps)
        return start + tirx.Cast("float32", index) * extent + inner

    def joined(total: Any, first: Any, places: Any, weights: Any, pixel: Pixel) -> Any:
        if mean:
            return total + mix(places, weights, pixel)
        one, two, three, four = products(places, weights, pixel)
        largest = tirx.max(tirx.max(one, two), tirx.max(three, four))
        return tirx.Select(first, largest, tirx.max(total, largest))

    def pixel(image: Any, source: Any, group: Any, lane: Any) -> Pixel:
        return lambda r, c: tirx.Cast("float32", image[layout.at(source, group, (r, c), lane)])

    @T.prim_func  # type: ignore[untyped-decorator]
    def roi_align(image_handle: T.handle, regions_handle: T.handle, result_handle: T.handle):  # type: ignore[no-untyped-def]
        image = T.match_buffer(image_handle, image_shape, dtype)
        boxes = T.match_buffer(regions_handle, (size,), region_spec.dtype)
        result = T.match_buffer(result_handle, output_shape, dtype)
        for task in spread(regions * bins * count, work):
            region: T.let = task // (bins * count)
            row: T.let = task // (columns * count) % rows
            column: T.let = task // count % columns
            part: T.let = task % count * groups
            source: T.int32 = inside(T.Cast("int32", clamped(boxes[region * 5], 0.0, float(images - 1))), images)
            top: T.float32 = start(region, boxes, 0)
            left: T.float32 = start(region, boxes, 1)
            tall: T.float32 = length(region, boxes, 0)
            wide: T.float32 = length(region, boxes, 1)
            down: T.int32 = seen(top, left, tall, wide, samples(tall, rows))
            across: T.int32 = samples(wide, columns)
            places = T.alloc_buffer((4,), "int32", scope="local")
            weights = T.alloc_buffer((4,), "float32", scope="local")
            totals = T.alloc_buffer((accumulators,), "float32", scope="local")
            for element in T.serial(accumulators):
                totals[element] = T.float32(0)
            for y in T.serial(down):
                for x in T.serial(across):
                    locate(
                        places,
                        weights,
                        place(top, tall, rows, row, y, down),
                        place(left, wide, columns, column, x, across),
                        (height, width),
                        edge=True,
                    )
                    for group in T.serial(groups):
                        for lane in T.vectorized(lanes):
                            totals[group * lanes + lane] = joined(
                                totals[group * lanes + lane],
                                y + x == 0,
                                places,
                                weights,
                                pixel(image, source, part + group, lane),
                            )
            share: T.float32 = T.float32(1) / T.Cast("float32", T.max(down * across, 1))
            for group in T.serial(groups):
                for lane in T.vectorized(lanes):
                    result[layout.at(region, part + group, (row, column), lane)] = T.Cast(
                        dtype, totals[group * lanes + lane] * (share if mean else T.float32(1))
                    )

    return roi_align
