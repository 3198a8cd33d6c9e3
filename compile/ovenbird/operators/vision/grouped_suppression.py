"""Non-maximum suppression within groups, image by image: `ovenbird.suppression.grouped_nms`.

Proposals of several levels, or boxes of several classes, are gone through together, best first, so that it ends with as
many as are wanted; only boxes of one group suppress each other. Equal scores keep their order.

Example: `GroupedSuppression(0.7, 1000)` of boxes [1, 4741, 4], scores, their order and groups [1, 4741] gives
int64 [1, 1000], -1 where there are fewer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tvm import tirx
from tvm.script import tirx as T

from ovenbird.operators.vision.kept_boxes import BLOCK, FIELDS, Alike, Corners, KeptBoxes, room_for
from ovenbird.operators.writing.loops import held, inside, spread
from ovenbird.operators.writing.own import ImageLayout, OwnOperator, Spec


@dataclass(frozen=True)
class GroupedSuppression(OwnOperator):
    """Inputs: boxes [N, B, 4], scores, the boxes' numbers by falling score, and their groups, each [N, B]."""

    name = "grouped_suppression"
    overlap: float
    capacity: int

    def outputs(self, inputs: Sequence[Spec]) -> tuple[Spec, ...]:
        """Return the numbers of the boxes that are kept."""
        return (Spec((inputs[0].shape[0], self.capacity), "int64"),)

    def scratch(self, inputs: Sequence[Spec]) -> tuple[Spec, ...]:
        """Return corners and area, and the group, of each box that is kept."""
        room = inputs[0].shape[0] * room_for(self.capacity)
        return (Spec((FIELDS * room,), "float32"), Spec((room,), "int32"))

    def kernel(self, inputs: Sequence[Spec], layout: ImageLayout) -> tirx.PrimFunc:
        """Return the choice in each image."""
        return grouped_kernel(inputs, self)


def grouped_kernel(inputs: Sequence[Spec], options: GroupedSuppression) -> tirx.PrimFunc:
    """Return the function over boxes, scores, order, groups, the chosen, and scratch."""
    images, boxes = inputs[1].shape
    capacity, size, order_dtype = options.capacity, images * boxes, inputs[2].dtype
    room = room_for(capacity)

    @T.prim_func  # type: ignore[untyped-decorator]
    def grouped_suppression(  # type: ignore[no-untyped-def]
        boxes_handle: T.handle,
        scores_handle: T.handle,
        order_handle: T.handle,
        groups_handle: T.handle,
        chosen_handle: T.handle,
        kept_handle: T.handle,
        kinds_handle: T.handle,
    ):
        data = T.match_buffer(boxes_handle, (size * 4,), "float32")
        scores = T.match_buffer(scores_handle, (size,), "float32")
        order = T.match_buffer(order_handle, (size,), order_dtype)
        groups = T.match_buffer(groups_handle, (size,), "int32")
        chosen = T.match_buffer(chosen_handle, (images * capacity,), "int64")
        kept = T.match_buffer(kept_handle, (images * FIELDS * room,), "float32")
        kinds = T.match_buffer(kinds_handle, (images * room,), "int32")
        for image in spread(images, size * 64):
            taken: T.int32 = 0
            KeptBoxes(kept, image * FIELDS * room, room).clear()
            step: T.int32 = 0
            while tirx.all(step < boxes, taken < capacity):
                box: T.int32 = image * boxes + inside(order[image * boxes + held(step, boxes)], boxes)
                if scores[box] >= T.float32(0):
                    left: T.float32 = data[box * 4]
                    top: T.float32 = data[box * 4 + 1]
                    right: T.float32 = data[box * 4 + 2]
                    bottom: T.float32 = data[box * 4 + 3]
                    area: T.float32 = (right - left) * (bottom - top)
                    kind: T.int32 = groups[box]
                    other: T.int32 = 0
                    hits: T.int32 = 0
                    while tirx.all(hits == 0, other < taken):
                        hits = KeptBoxes(kept, image * FIELDS * room, room).overlapping(
                            held(other, room - BLOCK + 1),
                            Corners((left, top), (right, bottom), area),
                            options.overlap,
                            Alike(kinds, image * room, kind),
                        )
                        other = other + BLOCK
                    if hits == 0:
                        KeptBoxes(kept, image * FIELDS * room, room).add(
                            held(taken, capacity),
                            Corners((left, top), (right, bottom), area),
                        )
                        kinds[image * room + held(taken, capacity)] = kind
                        chosen[image * capacity + held(taken, capacity)] = T.Cast("int64", box - image * boxes)
                        taken = taken + 1
                step = step + 1
            for step in T.serial(capacity):
                if step >= taken:
                    chosen[image * capacity + step] = T.int64(-1)

    return grouped_suppression
