"""Non-maximum suppression for networks that are compiled: as many rows as asked for, and how many of them count.

    from ovenbird.suppression import padded_nms

    keep, count = padded_nms(boxes, scores, iou_threshold=0.5, capacity=100)
    return boxes[keep], scores[keep], count         # rows from `count` on repeat the last box

torchvision's `nms` returns as many indices as boxes are kept, which no compiled tensor can.
"""

from __future__ import annotations

import torch

OPERATOR = "ovenbird::padded_nms"


@torch.library.custom_op(OPERATOR, mutates_args=())
def padded_nms(
    boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float, capacity: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the numbers of the boxes that are kept, best first, int64 [capacity], and their count, int64 [].

    `boxes` [N, 4]: left, top, right, bottom. A box that overlaps a better one that is kept by more than
    `iou_threshold` (intersection over union) is not. Numbers from the count on are -1.
    """
    order = torch.argsort(scores, descending=True, stable=True).tolist()
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept: list[int] = []
    for index in order:
        if len(kept) == capacity:
            break
        others = torch.tensor(kept, dtype=torch.int64)
        low = torch.maximum(boxes[others, :2], boxes[index, :2])
        high = torch.minimum(boxes[others, 2:], boxes[index, 2:])
        common = (high - low).clamp(min=0).prod(1)
        overlap = (common / (areas[others] + areas[index] - common)).double()
        if not bool((overlap > iou_threshold).any()):
            kept.append(index)
    padded = kept + [-1] * (capacity - len(kept))
    return torch.tensor(padded, dtype=torch.int64), torch.tensor(len(kept), dtype=torch.int64)


@padded_nms.register_fake
def _(
    boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float, capacity: int
) -> tuple[torch.Tensor, torch.Tensor]:
    return boxes.new_empty(capacity, dtype=torch.int64), boxes.new_empty((), dtype=torch.int64)


@torch.library.custom_op("ovenbird::grouped_nms", mutates_args=())
def grouped_nms(
    boxes: torch.Tensor, scores: torch.Tensor, groups: torch.Tensor, iou_threshold: float, capacity: int
) -> torch.Tensor:
    """Return the numbers of the boxes of each image that are kept, best first, int64 [N, capacity], -1 after the last.

    `boxes` [N, K, 4], `scores` [N, K], `groups` [N, K]: a box is left out where it overlaps a better one of its group
    that is kept by more than `iou_threshold`. A score below zero says that there is no box.
    """
    found = torch.full((boxes.shape[0], capacity), -1, dtype=torch.int64)
    for image, (corners, marks, kinds) in enumerate(zip(boxes, scores, groups, strict=True)):
        order = torch.argsort(marks, descending=True, stable=True)
        order = order[marks[order] >= 0]
        corners, kinds = corners[order], kinds[order]
        areas = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
        free, kept = torch.ones(len(order), dtype=torch.bool), 0
        for place in range(len(order)):
            if not free[place]:
                continue
            if kept == capacity:
                break
            found[image, kept] = order[place]
            kept += 1
            low = torch.maximum(corners[:, :2], corners[place, :2])
            high = torch.minimum(corners[:, 2:], corners[place, 2:])
            common = (high - low).clamp(min=0).prod(1)
            overlap = (common / (areas + areas[place] - common)).double()
            free &= ~((overlap > iou_threshold) & (kinds == kinds[place]))
    return found


@grouped_nms.register_fake
def _(
    boxes: torch.Tensor, scores: torch.Tensor, groups: torch.Tensor, iou_threshold: float, capacity: int
) -> torch.Tensor:
    return boxes.new_empty((boxes.shape[0], capacity), dtype=torch.int64)
