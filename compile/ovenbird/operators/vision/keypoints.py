"""Where each map of a region is largest, once it is resized to the region's pixels: `ovenbird.regions.find_keypoints`.

The resized maps are never whole in memory: rows are mixed of four, then places of a row of four, and the best is kept.

Example: `FindKeypoints(800)` of maps [100, 17, 56, 56] and regions [100, 4] gives [100, 17, 3].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from ovenbird.operators.writing.loops import clamped, hold, spread
from ovenbird.operators.writing.own import ImageLayout, OwnOperator, Spec

SHARPNESS = -0.75
"""Of torch's bicubic resampling."""
TAPS = 4


@dataclass(frozen=True)
class FindKeypoints(OwnOperator):
    """Inputs: maps [R, P, m, m] and regions [R, 4]. `limit`: pixels along a side of a region at most."""

    name = "find_keypoints"
    limit: int

    def outputs(self, inputs: Sequence[Spec]) -> tuple[Spec, ...]:
        """Return across, down and the value of each map."""
        return (Spec((*inputs[0].shape[:2], 3), "float32"),)

    def scratch(self, inputs: Sequence[Spec]) -> tuple[Spec, ...]:
        """Return for each region the weights and the first tap of every column, and for each map a row with edges."""
        regions, points, side = inputs[0].shape[:3]
        columns = regions * self.limit
        return (
            Spec((columns * TAPS,), "float32"),
            Spec((columns,), "int32"),
            Spec((regions * points * (side + TAPS),), "float32"),
        )

    def kernel(self, inputs: Sequence[Spec], layout: ImageLayout) -> tirx.PrimFunc:
        """Return the search over all maps."""
        return keypoints_kernel(inputs, self)


def keypoints_kernel(inputs: Sequence[Spec], options: FindKeypoints) -> tirx.PrimFunc:
    """Return the function over maps, regions, result, and scratch."""
    regions, points, side = inputs[0].shape[:3]
    limit, room, maps_size = options.limit, side + TAPS, inputs[0].size
    columns = regions * limit

    def length(boxes: Any, region: Any, axis: int) -> Any:
        """Return how long a region is along x (0) or y (1)."""
        return clamped(boxes[region * 4 + 2 + axis] - boxes[region * 4 + axis], 1.0, 1e9)

    def pixels(extent: Any) -> Any:
        return tirx.Cast("int32", tirx.ceil(clamped(extent, 1.0, float(limit))))

    def source(index: Any, count: Any) -> Any:
        """Return where a pixel of the resized map lies on the map."""
        half = tirx.const(0.5, "float32")
        scale = tirx.const(float(side), "float32") / tirx.Cast("float32", count)
        return (tirx.Cast("float32", index) + half) * scale - half

    def weight(share: Any, tap: int) -> Any:
        """Return what the tap before (0), at (1) and behind (2, 3) a place weighs (Keys 1981)."""
        a, one = SHARPNESS, tirx.const(1.0, "float32")
        x = [share + one, share, one - share, one - share + one][tap]
        if tap in (1, 2):
            return ((a + 2) * x - (a + 3)) * x * x + one
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    def tap_row(first: Any, tap: int) -> Any:
        return tirx.max(tirx.min(first + (tap - 1), side - 1), 0)

    @T.prim_func  # type: ignore[untyped-decorator]
    def find_keypoints(  # type: ignore[no-untyped-def]
        maps_handle: T.handle,
        regions_handle: T.handle,
        result_handle: T.handle,
        weights_handle: T.handle,
        firsts_handle: T.handle,
        rows_handle: T.handle,
    ):
        maps = T.match_buffer(maps_handle, (maps_size,), "float32")
        boxes = T.match_buffer(regions_handle, (regions * 4,), "float32")
        result = T.match_buffer(result_handle, (regions * points * 3,), "float32")
        weights = T.match_buffer(weights_handle, (columns * TAPS,), "float32")
        firsts = T.match_buffer(firsts_handle, (columns,), "int32")
        rows = T.match_buffer(rows_handle, (regions * points * room,), "float32")
        for own in spread(regions, columns * 16):
            across: T.int32 = pixels(length(boxes, own, 0))
            for x in T.serial(across):
                spot: T.float32 = source(x, across)
                left: T.float32 = T.floor(spot)
                part: T.float32 = spot - left
                firsts[own * limit + x] = T.Cast("int32", left)
                weights[(own * limit + x) * TAPS] = weight(part, 0)
                weights[(own * limit + x) * TAPS + 1] = weight(part, 1)
                weights[(own * limit + x) * TAPS + 2] = weight(part, 2)
                weights[(own * limit + x) * TAPS + 3] = weight(part, 3)
        for task in spread(regions * points, regions * points * side * side * 64):
            region: T.let = task // points
            wide: T.float32 = length(boxes, region, 0)
            tall: T.float32 = length(boxes, region, 1)
            columns_here: T.int32 = pixels(wide)
            down: T.int32 = pixels(tall)
            best: T.float32 = T.min_value("float32")
            best_x: T.int32 = 0
            best_y: T.int32 = 0
            for y in T.serial(down):
                place: T.float32 = source(y, down)
                low: T.float32 = T.floor(place)
                share: T.float32 = place - low
                first: T.int32 = T.Cast("int32", low)
                above: T.float32 = weight(share, 0)
                upper: T.float32 = weight(share, 1)
                lower: T.float32 = weight(share, 2)
                below: T.float32 = weight(share, 3)
                line: T.int32 = task * side
                for column in T.serial(side):
                    rows[task * room + column + 2] = (
                        maps[(line + tap_row(first, 0)) * side + column] * above
                        + maps[(line + tap_row(first, 1)) * side + column] * upper
                        + maps[(line + tap_row(first, 2)) * side + column] * lower
                        + maps[(line + tap_row(first, 3)) * side + column] * below
                    )
                rows[task * room] = rows[task * room + 2]
                rows[task * room + 1] = rows[task * room + 2]
                rows[task * room + side + 2] = rows[task * room + side + 1]
                rows[task * room + side + 3] = rows[task * room + side + 1]
                for x in T.serial(columns_here):
                    at: T.int32 = task * room + firsts[region * limit + x] + 1
                    tap: T.int32 = (region * limit + x) * TAPS
                    value: T.float32 = hold(
                        rows[at] * weights[tap]
                        + rows[at + 1] * weights[tap + 1]
                        + rows[at + 2] * weights[tap + 2]
                        + rows[at + 3] * weights[tap + 3]
                    )
                    if value > best:
                        best = value
                        best_x = x
                        best_y = y
            result[task * 3] = (T.Cast("float32", best_x) + T.float32(0.5)) * (
                wide / T.Cast("float32", columns_here)
            ) + boxes[region * 4]
            result[task * 3 + 1] = (T.Cast("float32", best_y) + T.float32(0.5)) * (
                tall / T.Cast("float32", down)
            ) + boxes[region * 4 + 1]
            result[task * 3 + 2] = best

    return find_keypoints
