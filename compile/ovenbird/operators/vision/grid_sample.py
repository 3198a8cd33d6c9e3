"""Sampling at given places: torch's `grid_sample`, ONNX's GridSample, of images of two or three axes.

A place runs from -1 to 1 along each axis, the last axis first. Each axis has its taps: one pixel for "nearest", two for
"linear", four for "cubic" (Keys 1981, a = -0.75); a sample is the sum over all combinations of them.

Example: `GridSample("linear", "zeros", aligned=False)` of [2, 32, 9, 11] and [2, 5, 7, 2] gives [2, 32, 5, 7].
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tvm import tirx
from tvm.script import tirx as T
from tvm.script.ir_builder import tirx as builder

from ovenbird.operators.vision.bilinear import ONE, ZERO, within
from ovenbird.operators.writing.loops import clamped, hold, spread, unravel
from ovenbird.operators.writing.own import ImageLayout, OwnOperator, Spec

Mode = Literal["nearest", "linear", "cubic"]
Padding = Literal["zeros", "border", "reflection"]
TAPS: dict[Mode, int] = {"nearest": 1, "linear": 2, "cubic": 4}
SHARPNESS = -0.75


@dataclass(frozen=True)
class GridSample(OwnOperator):
    """Inputs: image and grid [N, *output, axes]. `aligned`: -1 and 1 are the centres of the outer pixels."""

    name = "grid_sample"
    image_input = image_output = True
    mode: Mode
    padding: Padding
    aligned: bool

    def outputs(self, inputs: Sequence[Spec]) -> tuple[Spec, ...]:
        """Return an image of the grid's size."""
        (shape, dtype), (grid, _) = inputs
        return (Spec((*shape[:2], *grid[1:-1]), dtype),)

    def kernel(self, inputs: Sequence[Spec], layout: ImageLayout) -> tirx.PrimFunc:
        """Return the sampling at all places."""
        return grid_sample_kernel(inputs, layout, self)


def number(value: float) -> Any:
    """Return a float32 constant."""
    return tirx.const(value, "float32")


def grid_sample_kernel(inputs: Sequence[Spec], layout: ImageLayout, options: GridSample) -> tirx.PrimFunc:
    """Return the function over image, grid and result."""
    (shape, dtype), grid_spec = inputs
    channels, sizes = shape[1], shape[2:]
    axes, output = len(sizes), grid_spec.shape[1:-1]
    groups, count, lanes = layout.groups(channels), layout.count(channels), layout.lanes()
    image_shape, output_shape = layout.shape(shape), layout.shape(options.outputs(inputs)[0].shape)
    pixels, taps = math.prod(output), TAPS[options.mode]
    work = math.prod(output_shape) * 2 * taps**axes

    def locate(places: Any, weights: Any, grid: Any, pixel: Any) -> None:
        for axis, size in enumerate(sizes):
            given = hold(tirx.Cast("float32", grid[pixel * axes + axes - 1 - axis]))
            for tap, (place, weight) in enumerate(axis_taps(given, size, options)):
                place = hold(place)
                if options.padding == "zeros":
                    weight = tirx.Select(within(place, size), weight, ZERO)
                index = tirx.Cast("int32", clamped(place, 0.0, size - 1.0))
                builder.buffer_store(places, index, [axis * taps + tap])
                builder.buffer_store(weights, weight, [axis * taps + tap])

    def mixed(image: Any, image_index: Any, group: Any, lane: Any, places: Any, weights: Any) -> Any:
        total = None
        for choice in itertools.product(range(taps), repeat=axes):
            slots = [axis * taps + tap for axis, tap in enumerate(choice)]
            value = image[layout.at(image_index, group, tuple(places[slot] for slot in slots), lane)]
            term = tirx.Cast("float32", value) * math.prod(
                (weights[slot] for slot in slots[1:]), start=weights[slots[0]]
            )
            total = term if total is None else total + term
        return total

    @T.prim_func  # type: ignore[untyped-decorator]
    def grid_sample(image_handle: T.handle, grid_handle: T.handle, result_handle: T.handle):  # type: ignore[no-untyped-def]
        image = T.match_buffer(image_handle, image_shape, dtype)
        grid = T.match_buffer(grid_handle, (grid_spec.size,), grid_spec.dtype)
        result = T.match_buffer(result_handle, output_shape, dtype)
        for task in spread(shape[0] * pixels * count, work):
            places = T.alloc_buffer((axes * taps,), "int32", scope="local")
            weights = T.alloc_buffer((axes * taps,), "float32", scope="local")
            locate(places, weights, grid, task // count)
            for group in T.serial(groups):
                for lane in T.vectorized(lanes):
                    result[
                        layout.at(
                            task // (count * pixels),
                            task % count * groups + group,
                            tuple(unravel(task // count % pixels, output)),
                            lane,
                        )
                    ] = T.Cast(
                        dtype,
                        mixed(image, task // (count * pixels), task % count * groups + group, lane, places, weights),
                    )

    return grid_sample


def axis_taps(given: Any, size: int, options: GridSample) -> list[tuple[Any, Any]]:
    """Return the pixels (as whole floats of any value) and weights along one axis, for a place from -1 to 1."""
    place = hold(unnormalized(given, size, options.aligned))
    if options.mode != "cubic":  # a cubic pads each of its taps
        place = hold(padded(place, size, options))
    if options.mode == "nearest":
        return [(tirx.nearbyint(place), ONE)]
    # Beyond these bounds nothing changes but the number, which would lose its fraction and then its meaning.
    bounds = clamped(place, -4.0, size + 4.0) if options.padding == "zeros" else place
    place = hold(bounds)
    low = hold(tirx.floor(place))
    share = hold(place - low)
    if options.mode == "linear":
        return [(low, ONE - share), (low + ONE, share)]
    weights = cubic_weights(share)
    return [
        (hold(padded(low + number(tap - 1.0), size, options)), weight)
        for tap, weight in zip(range(4), weights, strict=True)
    ]


def unnormalized(given: Any, size: int, aligned: bool) -> Any:
    """Return the pixel that a place from -1 to 1 stands for."""
    if aligned:
        return (given + ONE) * number((size - 1) / 2)
    return ((given + ONE) * number(float(size)) - ONE) * number(0.5)


def padded(place: Any, size: int, options: GridSample) -> Any:
    """Return the place inside the image that a place outside stands for; with zeros, itself."""
    if options.padding == "border":
        return clamped(place, 0.0, size - 1.0)
    if options.padding == "reflection":
        low, high = (0.0, size - 1.0) if options.aligned else (-0.5, size - 0.5)
        if high <= low:
            return clamped(place, 0.0, 0.0)
        span = number(high - low)
        distance = hold(tirx.abs(place - number(low)))
        turns = hold(tirx.floor(distance / span))
        rest = hold(distance - turns * span)
        even = turns - tirx.floor(turns * number(0.5)) * number(2.0) < number(0.5)
        return clamped(hold(tirx.Select(even, rest, span - rest) + number(low)), 0.0, size - 1.0)
    return place


def cubic_weights(share: Any) -> list[Any]:
    """Return the weights of the four taps around a place that lies `share` behind the second."""

    def near(x: Any) -> Any:
        return ((number(SHARPNESS + 2) * x - number(SHARPNESS + 3)) * x) * x + ONE

    def far(x: Any) -> Any:
        a = SHARPNESS
        return ((number(a) * x - number(5 * a)) * x + number(8 * a)) * x - number(4 * a)

    return [far(share + ONE), near(share), near(ONE - share), far(number(2.0) - share)]
