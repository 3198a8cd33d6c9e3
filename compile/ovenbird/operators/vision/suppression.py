"""Non-maximum suppression with room for a fixed number of boxes: torchvision's `nms`, ONNX's NonMaxSuppression.

How many boxes are kept depends on the numbers, and a tensor's size must not. So there is room for `capacity` of them; a
row that no box takes is -1, and a second output says how many there are.

Boxes are taken best first; one that overlaps a box taken before by more than the threshold is left out. Equal scores
keep their order.

Example: `Suppression(0.5, None, 1000, 1000, corners=True)` of boxes [1, 1000, 4], scores [1, 1, 1000] and their order
[1, 1, 1000] gives int64 [1000, 3], each the image's, the class's and the box's number, and int64 [1].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from ovenbird.operators.vision.kept_boxes import BLOCK, FIELDS, Corners, KeptBoxes, room_for
from ovenbird.operators.writing.loops import held, inside, spread
from ovenbird.operators.writing.own import ImageLayout, OwnOperator, Spec


@dataclass(frozen=True)
class Suppression(OwnOperator):
    """Inputs: boxes [N, B, 4], scores [N, C, B], and the boxes' numbers by falling score [N, C, B].

    `overlap`: intersection over union. `least_score`: scores must be higher; None: any will do. `most`: boxes of a
    class in an image. `corners`: a box is two corners, else centre and size. `ordered`: the first is the smaller one.
    """

    name = "suppression"
    overlap: float
    least_score: float | None
    most: int
    capacity: int
    corners: bool
    ordered: bool = False

    def outputs(self, inputs: Sequence[Spec]) -> tuple[Spec, ...]:
        """Return the chosen boxes and their number."""
        return (Spec((self.capacity, 3), "int64"), Spec((1,), "int64"))

    def scratch(self, inputs: Sequence[Spec]) -> tuple[Spec, ...]:
        """Return for each class of each image the corners, area and number of the boxes taken, and how many."""
        images, classes, boxes = inputs[1].shape
        room = images * classes * min(self.most, boxes)
        kept = images * classes * FIELDS * room_for(min(self.most, boxes))
        return (Spec((kept,), "float32"), Spec((room,), "int32"), Spec((images * classes,), "int32"))

    def kernel(self, inputs: Sequence[Spec], layout: ImageLayout) -> tirx.PrimFunc:
        """Return the choice in each class, then their list."""
        return suppression_kernel(inputs, self)


def suppression_kernel(inputs: Sequence[Spec], options: Suppression) -> tirx.PrimFunc:
    """Return the function over boxes, scores, order, the chosen, their number, and scratch."""
    box_spec, score_spec, order_spec = inputs
    images, classes, boxes = score_spec.shape
    rows, most, capacity = images * classes, min(options.most, boxes), options.capacity
    box_size, size, room = box_spec.size, score_spec.size, room_for(most)
    half = tirx.const(0.5, "float32")

    def edge(data: Any, first: Any, axis: int, far: bool) -> Any:
        """Return the near or far edge of a box along one axis."""
        low, high = data[first + axis], data[first + axis + 2]
        if options.corners:
            if options.ordered:
                return high if far else low
            return tirx.max(low, high) if far else tirx.min(low, high)
        return low + high * half if far else low - high * half

    def good(score: Any) -> Any:
        if options.least_score is None:
            return tirx.const(True, "bool")
        return score > tirx.const(options.least_score, "float32")

    @T.prim_func  # type: ignore[untyped-decorator]
    def suppression(  # type: ignore[no-untyped-def]
        boxes_handle: T.handle,
        scores_handle: T.handle,
        order_handle: T.handle,
        chosen_handle: T.handle,
        number_handle: T.handle,
        kept_handle: T.handle,
        numbers_handle: T.handle,
        counts_handle: T.handle,
    ):
        data = T.match_buffer(boxes_handle, (box_size,), "float32")
        scores = T.match_buffer(scores_handle, (size,), "float32")
        order = T.match_buffer(order_handle, (size,), order_spec.dtype)
        chosen = T.match_buffer(chosen_handle, (capacity * 3,), "int64")
        number = T.match_buffer(number_handle, (1,), "int64")
        kept = T.match_buffer(kept_handle, (rows * FIELDS * room,), "float32")
        numbers = T.match_buffer(numbers_handle, (rows * most,), "int32")
        counts = T.match_buffer(counts_handle, (rows,), "int32")
        for row in spread(rows, size * 64):
            taken: T.int32 = 0
            KeptBoxes(kept, row * FIELDS * room, room).clear()
            step: T.int32 = 0
            while tirx.all(step < boxes, taken < most):
                box: T.int32 = inside(order[row * boxes + held(step, boxes)], boxes)
                if good(scores[row * boxes + box]):
                    first: T.int32 = (row // classes * boxes + box) * 4
                    near_0: T.float32 = edge(data, first, 0, far=False)
                    near_1: T.float32 = edge(data, first, 1, far=False)
                    far_0: T.float32 = edge(data, first, 0, far=True)
                    far_1: T.float32 = edge(data, first, 1, far=True)
                    area: T.float32 = (far_0 - near_0) * (far_1 - near_1)
                    other: T.int32 = 0
                    hits: T.int32 = 0
                    while tirx.all(hits == 0, other < taken):
                        hits = KeptBoxes(kept, row * FIELDS * room, room).overlapping(
                            held(other, room - BLOCK + 1),
                            Corners((near_0, near_1), (far_0, far_1), area),
                            options.overlap,
                        )
                        other = other + BLOCK
                    if hits == 0:
                        KeptBoxes(kept, row * FIELDS * room, room).add(
                            held(taken, most),
                            Corners((near_0, near_1), (far_0, far_1), area),
                        )
                        numbers[row * most + held(taken, most)] = box
                        taken = taken + 1
                step = step + 1
            counts[row] = taken
        for _ in spread(1, 1):
            filled: T.int32 = 0
            for row in T.serial(rows):
                for step in T.serial(T.min(counts[row], most)):
                    if filled < capacity:
                        chosen[filled * 3] = T.Cast("int64", row // classes)
                        chosen[filled * 3 + 1] = T.Cast("int64", row % classes)
                        chosen[filled * 3 + 2] = T.Cast("int64", numbers[row * most + step])
                        filled = filled + 1
            number[0] = T.Cast("int64", filled)
            for step in T.serial(capacity * 3):
                if step >= filled * 3:
                    chosen[step] = T.int64(-1)

    return suppression
