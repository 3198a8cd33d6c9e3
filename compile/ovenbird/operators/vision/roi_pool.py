"""Pooling of regions whose edges are whole pixels: torchvision's `roi_pool`, ONNX's MaxRoiPool (Girshick 2015).

Example: `RoiPool((7, 7), 0.0625)` of [1, 512, 38, 50] and [300, 5] gives [300, 512, 7, 7]; an empty bin is zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from ovenbird.operators.vision.bilinear import ONE, ZERO
from ovenbird.operators.writing.loops import clamped, hold, spread
from ovenbird.operators.writing.own import ImageLayout, OwnOperator, Spec

FARTHEST = float(1 << 20)
"""Pixels from the image's corner: where a region's edge ends that lies farther away."""


@dataclass(frozen=True)
class RoiPool(OwnOperator):
    """Inputs: image and regions [K, 5], each the image's index, left, top, right, bottom."""

    name = "roi_pool"
    image_input = image_output = True
    output: tuple[int, int]
    scale: float

    def outputs(self, inputs: Sequence[Spec]) -> tuple[Spec, ...]:
        """Return an image of the output's size for each region."""
        return (Spec((inputs[1].shape[0], inputs[0].shape[1], *self.output), inputs[0].dtype),)

    def kernel(self, inputs: Sequence[Spec], layout: ImageLayout) -> tirx.PrimFunc:
        """Return the pooling of all regions."""
        return roi_pool_kernel(inputs, layout, self)


def roi_pool_kernel(inputs: Sequence[Spec], layout: ImageLayout, options: RoiPool) -> tirx.PrimFunc:
    """Return the function over image, regions and result."""
    (shape, dtype), region_spec = inputs
    images, channels, height, width = shape
    regions, (rows, columns) = region_spec.shape[0], options.output
    groups, count, lanes = layout.groups(channels), layout.count(channels), layout.lanes()
    image_shape, output_shape = layout.shape(shape), layout.shape(options.outputs(inputs)[0].shape)
    size, accumulators, lowest = region_spec.size, groups * lanes, tirx.min_value("float32")

    def edge(boxes: Any, region: Any, side: int) -> Any:
        """Return an edge of a region in whole pixels, halves away from zero."""
        place = tirx.Cast("float32", boxes[region * 5 + side]) * tirx.const(options.scale, "float32")
        place = hold(clamped(place, -FARTHEST, FARTHEST))
        size = hold(tirx.abs(place))
        whole = hold(tirx.floor(size))
        rounded = hold(tirx.Cast("int32", whole + tirx.Select(size - whole >= tirx.const(0.5, "float32"), ONE, ZERO)))
        return tirx.Select(place < ZERO, -rounded, rounded)

    def share(index: Any, length: Any, bins: int) -> Any:
        """Return where a bin begins, as the pixels of all bins before it."""
        return tirx.Cast("float32", index) * (tirx.Cast("float32", length) / tirx.const(float(bins), "float32"))

    def limited(place: Any, extent: int) -> Any:
        return tirx.max(tirx.min(place, extent), 0)

    @T.prim_func  # type: ignore[untyped-decorator]
    def roi_pool(image_handle: T.handle, regions_handle: T.handle, result_handle: T.handle):  # type: ignore[no-untyped-def]
        image = T.match_buffer(image_handle, image_shape, dtype)
        boxes = T.match_buffer(regions_handle, (size,), region_spec.dtype)
        result = T.match_buffer(result_handle, output_shape, dtype)
        for task in spread(regions * rows * columns * count, math.prod(output_shape) * 16):
            region: T.let = task // (rows * columns * count)
            row: T.let = task // (columns * count) % rows
            column: T.let = task // count % columns
            part: T.let = task % count * groups
            source: T.int32 = T.Cast("int32", clamped(boxes[region * 5], 0.0, float(images - 1)))
            top: T.int32 = edge(boxes, region, 2)
            left: T.int32 = edge(boxes, region, 1)
            tall: T.int32 = T.max(edge(boxes, region, 4) - top + 1, 1)
            wide: T.int32 = T.max(edge(boxes, region, 3) - left + 1, 1)
            first_row: T.int32 = limited(T.Cast("int32", T.floor(share(row, tall, rows))) + top, height)
            last_row: T.int32 = limited(T.Cast("int32", T.ceil(share(row + 1, tall, rows))) + top, height)
            first_column: T.int32 = limited(T.Cast("int32", T.floor(share(column, wide, columns))) + left, width)
            last_column: T.int32 = limited(T.Cast("int32", T.ceil(share(column + 1, wide, columns))) + left, width)
            largest = T.alloc_buffer((accumulators,), "float32", scope="local")
            empty: T.bool = tirx.any(last_row <= first_row, last_column <= first_column)
            for element in T.serial(accumulators):
                largest[element] = T.Select(empty, T.float32(0), lowest)
            for y in T.serial(T.max(last_row - first_row, 0)):
                for x in T.serial(T.max(last_column - first_column, 0)):
                    for group in T.serial(groups):
                        for lane in T.vectorized(lanes):
                            largest[group * lanes + lane] = T.max(
                                largest[group * lanes + lane],
                                T.Cast(
                                    "float32",
                                    image[
                                        layout.at(
                                            source,
                                            part + group,
                                            (
                                                T.min(first_row + y, height - 1),
                                                T.min(first_column + x, width - 1),
                                            ),
                                            lane,
                                        )
                                    ],
                                ),
                            )
            for group in T.serial(groups):
                for lane in T.vectorized(lanes):
                    result[layout.at(region, part + group, (row, column), lane)] = T.Cast(
                        dtype, largest[group * lanes + lane]
                    )

    return roi_pool
