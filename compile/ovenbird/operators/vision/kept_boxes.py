"""The boxes that a suppression has kept so far, by their coordinates, so that a vector of them is compared at once.

    kept = KeptBoxes(buffer, first, room)        # in a kernel; `room`: a multiple of `BLOCK`
    kept.clear()
    hits = kept.overlapping(start, box, 0.5)     # of the block from `start` on

A place without a box has an area that is no number: nothing overlaps it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from tvm import tirx
from tvm.script.ir_builder import tirx as T

from ovenbird.operators.writing.loops import hold

BLOCK = 64
"""Boxes that are compared before it is asked whether one of them overlaps."""

FIELDS = 5


class Corners(NamedTuple):
    """Corners along both axes, and the area."""

    near: tuple[Any, Any]
    far: tuple[Any, Any]
    area: Any


class Alike(NamedTuple):
    """Whose boxes count: the kinds of all from `first` on, and the one that is asked for."""

    kinds: Any
    first: Any
    kind: Any


def room_for(boxes: int) -> int:
    """Return the places for so many boxes."""
    return max(-(-boxes // BLOCK), 1) * BLOCK


@dataclass(frozen=True)
class KeptBoxes:
    """`room` places from `first` on: near corners, far corners, area, each of all boxes."""

    buffer: Any
    first: Any
    room: int

    def at(self, field: int, place: Any) -> Any:
        """Return where a box's number lies: near and far along the axes are fields 0, 1 and 2, 3, the area is 4."""
        return self.first + field * self.room + place

    def clear(self) -> None:
        """Write that there is no box."""
        with T.serial(self.room) as place:
            T.buffer_store(self.buffer, tirx.const(float("nan"), "float32"), [self.at(FIELDS - 1, place)])

    def add(self, place: Any, box: Corners) -> None:
        """Write a box."""
        for field, value in enumerate((*box.near, *box.far, box.area)):
            T.buffer_store(self.buffer, value, [self.at(field, place)])

    def overlapping(self, start: Any, box: Corners, limit: float, alike: Alike | None = None) -> Any:
        """Return how many boxes of the block from `start` on overlap one by more than the limit."""
        hits = hold(tirx.const(0, "int32"))
        # A float is above the limit if it is above the last float that is not.
        most = tirx.const(float(float_below(limit)), "float32")
        with T.serial(BLOCK) as step:
            place = start + step
            common = self.shared(place, box, 0) * self.shared(place, box, 1)
            found = common / (box.area + self.buffer[self.at(FIELDS - 1, place)] - common) > most
            if alike is not None:
                found = tirx.all(found, tirx.EQ(alike.kinds[alike.first + place], alike.kind))
            T.buffer_store(hits.source, hits + tirx.Cast("int32", found), [0])
        return hits

    def shared(self, place: Any, box: Corners, axis: int) -> Any:
        """Return how much of a box's stretch along an axis the box at a place covers."""
        near = tirx.max(box.near[axis], self.buffer[self.at(axis, place)])
        far = tirx.min(box.far[axis], self.buffer[self.at(axis + 2, place)])
        return tirx.max(far - near, tirx.const(0.0, "float32"))


def float_below(value: float) -> np.float32:
    """Return the largest float32 that is not above a number."""
    nearest: np.float32 = np.float32(value)
    if float(nearest) > value:
        nearest = np.nextafter(nearest, np.float32(-np.inf))
    return nearest
