"""Bilinear taps at a computed place: four pixels inside the image and their weights, zero where the place is outside.

places = T.alloc_buffer((4,), "int32", scope="local")          # in a `T.prim_func`
weights = T.alloc_buffer((4,), "float32", scope="local")
locate(places, weights, y, x, (height, width), edge=True)
result[...] = mix(places, weights, pixel)                      # pixel(row, column) is a value
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from ovenbird.operators.writing.loops import clamped, hold

Pixel = Callable[[Any, Any], Any]

ZERO, ONE = (tirx.const(value, "float32") for value in (0.0, 1.0))


def locate(places: Any, weights: Any, y: Any, x: Any, size: tuple[int, int], edge: bool) -> None:
    """Write two rows, two columns and the weight of each around (y, x), in the kernel that is being written.

    Without `edge` all beyond the image counts as zeros. With it the image ends in its last pixels, and only places more
    than a pixel outside count as zeros (RoIAlign, He et al. 2017).
    """
    for axis, (place, extent) in enumerate(zip((y, x), size, strict=True)):
        place = hold(place)
        taps = edge_taps(place, extent) if edge else zero_taps(place, extent)
        for index, (at, weight) in enumerate(taps):
            T.buffer_store(places, tirx.Cast("int32", clamped(at, 0.0, extent - 1.0)), [2 * axis + index])
            T.buffer_store(weights, weight, [2 * axis + index])


def edge_taps(place: Any, extent: int) -> list[tuple[Any, Any]]:
    """Return the two pixels and weights of an image that ends in its last pixels; NaN is nowhere."""
    there = tirx.all(place >= tirx.const(-1.0, "float32"), place <= tirx.const(float(extent), "float32"))
    near = hold(clamped(place, 0.0, extent - 1.0))
    low = hold(tirx.floor(near))
    share = hold(near - low)
    return [(low, tirx.Select(there, ONE - share, ZERO)), (low + ONE, tirx.Select(there, share, ZERO))]


def zero_taps(place: Any, extent: int) -> list[tuple[Any, Any]]:
    """Return the two pixels and weights of an image with zeros around it."""
    near = hold(clamped(place, -2.0, extent + 1.0))
    low = hold(tirx.floor(near))
    share = hold(near - low)
    return [
        (at, tirx.Select(within(at, extent), weight, ZERO)) for at, weight in ((low, ONE - share), (low + ONE, share))
    ]


def within(place: Any, extent: int) -> Any:
    """Return whether a whole float is a pixel of the axis; False for NaN."""
    return tirx.all(place >= ZERO, place <= tirx.const(extent - 1.0, "float32"))


def products(places: Any, weights: Any, pixel: Pixel) -> list[Any]:
    """Return the four pixels, each times its weight."""
    pairs = [(row, column) for row in (0, 1) for column in (2, 3)]
    return [pixel(places[row], places[column]) * (weights[row] * weights[column]) for row, column in pairs]


def mix(places: Any, weights: Any, pixel: Pixel) -> Any:
    """Return the sum of the four pixels by their weights."""
    first, second, third, fourth = products(places, weights, pixel)
    return (first + second) + (third + fourth)
