"""Faster R-CNN, Mask R-CNN and Keypoint R-CNN of torchvision as one program, with a fixed number of proposals.

net = TwoStage(torchvision.models.detection.fasterrcnn_resnet50_fpn(), padded=True)
net(image)          # {"boxes": [N, K, 4], "scores": [N, K], "classes": [N, K]}

torchvision's proposals are as many as its first suppression leaves. Here they are as many as it may leave; rows that
are none have a score of 0 at the end.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from ovenbird.models.packages.detection import boxes as arithmetic
from ovenbird.networks.detection.candidates import BestRows, answer
from ovenbird.networks.random_weights import HeadSpread
from ovenbird.regions import find_keypoints, pool_regions
from ovenbird.suppression import grouped_nms

LEAST_SIDE = 1e-2
"""Pixels: boxes that are thinner are none (roi_heads.py)."""


class TwoStage(nn.Module):
    """Takes normalised images of one size; boxes are clipped to the picture, which need not fill them if `padded`."""

    rows_apart = True

    def __init__(self, net: Any, padded: bool) -> None:
        super().__init__()
        self.padded = padded
        self.backbone = net.backbone
        self.rpn = net.rpn
        self.roi_heads = net.roi_heads

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the best pairs of a proposal and a class; with masks or keypoints, those that are left after
        suppression.
        """
        maps = self.backbone(image)
        size, sides = (image.shape[2], image.shape[3]), arithmetic.picture_sides(image, self.padded)
        proposals, there = self.propose(list(maps.values()), size, sides)
        heads = self.roi_heads
        pooled = self.pooled(heads.box_roi_pool, maps, proposals, size)
        logits, deltas = heads.box_predictor(heads.box_head(pooled))
        images, count, classes = image.shape[0], proposals.shape[1], logits.shape[1]
        shares = torch.softmax(logits, -1).view(images, count, classes)[..., 1:] * there[..., None]
        best = BestRows.of(shares.flatten(1))
        rows = BestRows(best.scores, torch.div(best.places, classes - 1, rounding_mode="floor"))
        kinds = best.places - rows.places * (classes - 1) + 1
        pairs = BestRows(best.scores, rows.places * classes + kinds)
        chosen = pairs.take(deltas.view(images, count * classes, 4))
        boxes = arithmetic.moved(chosen, rows.take(proposals), heads.box_coder.weights)
        boxes = arithmetic.clipped(boxes, sides)
        thick = ((boxes[..., 2:] - boxes[..., :2]) >= LEAST_SIDE).all(-1)
        scores = best.scores * thick
        if not _has(heads, "mask_predictor") and not _has(heads, "keypoint_predictor"):
            return answer(boxes, scores, kinds)
        boxes, scores, kinds = self.suppressed(boxes, scores, kinds)
        found = answer(boxes, scores, kinds)
        if _has(heads, "mask_predictor"):
            found["masks"] = self.masks(maps, size, boxes, kinds)
        if _has(heads, "keypoint_predictor"):
            found["keypoints"] = self.keypoints(maps, size, boxes)
        return found

    def propose(
        self, maps: list[torch.Tensor], size: tuple[int, int], sides: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the proposals [N, P, 4] within the pictures of `sides`, and which of them are any [N, P]."""
        rpn = self.rpn
        logits, deltas = rpn.head(maps)
        anchors = arithmetic.level_anchors(rpn.anchor_generator, maps, size)
        boxes, scores, levels = [], [], []
        for level, (mark, delta, own) in enumerate(zip(logits, deltas, anchors, strict=True)):
            best = BestRows.of(mark.permute(0, 2, 3, 1).flatten(1), rpn.pre_nms_top_n())
            rows = delta.permute(0, 2, 3, 1).reshape(delta.shape[0], -1, 4)
            boxes.append(arithmetic.moved(best.take(rows), best.of_table(own), rpn.box_coder.weights))
            scores.append(best.scores)
            levels.append(torch.full_like(best.places, level))
        found = arithmetic.clipped(torch.cat(boxes, 1), sides)
        marks = torch.sigmoid(torch.cat(scores, 1))
        good = ((found[..., 2:] - found[..., :2]) >= rpn.min_size).all(-1) & (marks >= rpn.score_thresh)
        marks = torch.where(good, marks, torch.full_like(marks, -1.0))
        most = min(rpn.post_nms_top_n(), marks.shape[1])
        kept = grouped_nms(found, marks, torch.cat(levels, 1), rpn.nms_thresh, most)
        there = kept >= 0
        chosen = BestRows(marks, kept.clamp(min=0)).take(found)
        return torch.where(there[..., None], chosen, torch.zeros_like(chosen)), there

    def pooled(
        self, pool: Any, maps: dict[str, torch.Tensor], boxes: torch.Tensor, size: tuple[int, int]
    ) -> torch.Tensor:
        """Return what `MultiScaleRoIAlign` pools for boxes [N, P, 4] in images of `size`: [N * P, C, side, side]."""
        used = [one for name, one in maps.items() if name in pool.featmap_names]
        scales = [2.0 ** round(math.log2(max(one.shape[2] / size[0], one.shape[3] / size[1]))) for one in used]
        images, count = boxes.shape[:2]
        flat = boxes.flatten(0, 1)
        numbers = torch.arange(images, dtype=torch.float32)[:, None, None].expand(-1, count, 1).flatten(0, 1)
        sides = torch.sqrt((flat[:, 2] - flat[:, 0]) * (flat[:, 3] - flat[:, 1]))
        first, last = -round(math.log2(scales[0])), -round(math.log2(scales[-1]))
        level = torch.floor(pool.canonical_level + torch.log2(sides / pool.canonical_scale) + 1e-6)
        levels = torch.clamp(level, min=float(first), max=float(last)).to(torch.int32) - first
        regions = torch.cat((numbers, flat), 1)
        found: torch.Tensor = pool_regions(used, regions, levels, scales, pool.output_size[0], pool.sampling_ratio)
        return found

    def suppressed(
        self, boxes: torch.Tensor, scores: torch.Tensor, kinds: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the boxes that torchvision finds, whose masks and keypoints are worth computing."""
        heads = self.roi_heads
        good = torch.where(scores > heads.score_thresh, scores, torch.full_like(scores, -1.0))
        kept = grouped_nms(boxes, good, kinds, heads.nms_thresh, min(heads.detections_per_img, scores.shape[1]))
        best = BestRows(scores, kept.clamp(min=0))
        there = kept >= 0
        boxes, scores = best.take(boxes), best.take(scores)
        boxes = torch.where(there[..., None], boxes, torch.zeros_like(boxes))
        return boxes, torch.where(there, scores, torch.zeros_like(scores)), best.take(kinds)

    def masks(
        self, maps: dict[str, torch.Tensor], size: tuple[int, int], boxes: torch.Tensor, kinds: torch.Tensor
    ) -> torch.Tensor:
        """Return each box's mask of its class: [N, K, m, m]."""
        heads = self.roi_heads
        logits = heads.mask_predictor(heads.mask_head(self.pooled(heads.mask_roi_pool, maps, boxes, size)))
        number = kinds.flatten()[:, None, None, None].expand(-1, 1, *logits.shape[2:])
        return torch.sigmoid(torch.gather(logits, 1, number)).reshape(*kinds.shape, *logits.shape[2:])

    def keypoints(self, maps: dict[str, torch.Tensor], size: tuple[int, int], boxes: torch.Tensor) -> torch.Tensor:
        """Return each box's keypoints [N, K, P, 3], whose score is what the network's map has there."""
        heads = self.roi_heads
        pooled = self.pooled(heads.keypoint_roi_pool, maps, boxes, size)
        marks = heads.keypoint_predictor(heads.keypoint_head(pooled))
        found: torch.Tensor = find_keypoints(marks, boxes.flatten(0, 1), max(size))
        return found.view(*boxes.shape[:2], *found.shape[1:])

    def head_spreads(self) -> list[HeadSpread]:
        """Return what the last layers give once they are trained: few scores above 0.3, small steps."""
        head, heads = self.rpn.head, self.roi_heads
        found = [
            HeadSpread(head.cls_logits, -3.0, 2.0),
            HeadSpread(head.bbox_pred, 0.0, 0.2),
            HeadSpread(heads.box_predictor.cls_score, 0.0, 1.5),
            HeadSpread(heads.box_predictor.bbox_pred, 0.0, 1.0),
        ]
        if _has(heads, "mask_predictor"):
            found.append(HeadSpread(heads.mask_predictor.mask_fcn_logits, 0.0, 2.0))
        if _has(heads, "keypoint_predictor"):
            found.append(HeadSpread(heads.keypoint_predictor.kps_score_lowres, 0.0, 2.0))
        return found


def _has(heads: Any, name: str) -> bool:
    return getattr(heads, name, None) is not None
