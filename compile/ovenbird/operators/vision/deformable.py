"""The samples that a deformable convolution multiplies by its weights (Dai et al. 2017; with a mask, Zhu et al. 2018).

Each tap of the kernel reads the image where its offset says, between the pixels; zeros are around it.

Example: `DeformableColumns((3, 3), (1, 1), (1, 1), (1, 1), 1)` of [1, 64, 9, 11], offsets [1, 18, 9, 11] and a mask
[1, 9, 9, 11] gives [99, 576]: a row for each place, in it the channels of the first tap, then of the second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as builder

from ovenbird.operators.vision.bilinear import Pixel, locate, mix
from ovenbird.operators.writing.loops import hold, spread, write_kernel
from ovenbird.operators.writing.own import ImageLayout, OwnOperator, Spec


@dataclass(frozen=True)
class DeformableColumns(OwnOperator):
    """Inputs: image, offsets [N, 2 * groups * taps, H, W], and a mask [N, groups * taps, H, W] or none.

    `padding`: top and left. `groups`: channels of one group share their offsets.
    """

    name = "deformable_columns"
    image_input = True
    window: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int

    def outputs(self, inputs: Sequence[Spec]) -> tuple[Spec, ...]:
        """Return a matrix with a row for each place of the output."""
        (shape, dtype), (offsets, _) = inputs[:2]
        taps = self.window[0] * self.window[1]
        return (Spec((shape[0] * offsets[2] * offsets[3], taps * shape[1]), dtype),)

    def kernel(self, inputs: Sequence[Spec], layout: ImageLayout) -> tirx.PrimFunc:
        """Return the sampling of all taps."""
        return columns_kernel(inputs, layout, self)


def columns_kernel(inputs: Sequence[Spec], layout: ImageLayout, options: DeformableColumns) -> tirx.PrimFunc:
    """Return the function over image, offsets, mask (if there is one) and result."""
    (shape, dtype), offset_spec, *masks = inputs
    images, channels, height, width = shape
    rows, columns = offset_spec.shape[2:]
    (kernel_rows, kernel_columns), depth = options.window, channels // options.groups
    taps, lanes = kernel_rows * kernel_columns, layout.lanes()
    if depth % lanes:  # a vector would cross from one group of offsets to the next, or past the last channel
        steps, lanes = depth, 1
    else:
        steps = depth // lanes
    spread_steps = steps if layout.kind == "channels_last" else 1
    inner = steps // spread_steps
    pixels, total = rows * columns, options.outputs(inputs)[0].size
    image_shape = layout.shape(shape)
    tasks = images * pixels * options.groups * taps

    def place(offsets: Any, task: Any, pixel: Any, axis: int) -> Any:
        """Return the row (axis 0) or column (1) that a tap reads."""
        tap, group, image = task % taps, task // taps % options.groups, task // (taps * options.groups * pixels)
        step = tap // kernel_columns if axis == 0 else tap % kernel_columns
        at = pixel // columns if axis == 0 else pixel % columns
        still = at * options.stride[axis] - options.padding[axis] + step * options.dilation[axis]
        slot = ((image * options.groups + group) * taps + tap) * 2 + axis
        return tirx.Cast("float32", still) + tirx.Cast("float32", offsets[slot * pixels + pixel])

    def share(mask: Any, task: Any, pixel: Any) -> Any:
        image, slot = task // (taps * options.groups * pixels), task % (taps * options.groups)
        return tirx.Cast("float32", mask[(image * taps * options.groups + slot) * pixels + pixel])

    def pixel_of(image: Any, index: Any, channel: Any, lane: Any) -> Pixel:
        block = layout.lanes()
        if lanes == 1:
            return lambda r, c: tirx.Cast("float32", image[layout.at(index, channel // block, (r, c), channel % block)])
        return lambda r, c: tirx.Cast("float32", image[layout.at(index, channel // block, (r, c), lane)])

    def body(image: Any, offsets: Any, *rest: Any) -> None:
        mask, result = rest[0], rest[-1]
        with spread(tasks * spread_steps, total * 8) as step:
            task, part = step // spread_steps, step % spread_steps * inner * lanes
            pixel = task // (taps * options.groups) % pixels
            index, group = task // (taps * options.groups * pixels), task // taps % options.groups
            places = builder.alloc_buffer((4,), "int32", scope="local")
            weights = builder.alloc_buffer((4,), "float32", scope="local")
            factor = hold(share(mask, task, pixel) if masks else tirx.const(1.0, "float32"))
            locate(
                places,
                weights,
                place(offsets, task, pixel, 0),
                place(offsets, task, pixel, 1),
                (height, width),
                edge=False,
            )
            with builder.serial(inner) as i, builder.vectorized(lanes) as lane:
                channel = group * depth + part + i * lanes
                target = ((index * pixels + pixel) * taps + task % taps) * channels + channel + lane
                value = mix(places, weights, pixel_of(image, index, channel, lane)) * factor
                builder.buffer_store(result, tirx.Cast(dtype, value), [target])

    flat = [((spec.size,), spec.dtype) for spec in (offset_spec, *masks, options.outputs(inputs)[0])]
    return write_kernel(options.name, [(image_shape, dtype), *flat], body)
