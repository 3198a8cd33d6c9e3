"""Detectors of other packages whose decoding is compiled with them, by the arithmetic of their authors.

EfficientDetBoxes(effdet.EfficientDet(config), effdet.anchors.Anchors.from_config(config).boxes)(image)["boxes"]
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ovenbird.networks.detection.candidates import BestRows, answer, corners
from ovenbird.networks.detection.decoders import Detr
from ovenbird.networks.random_weights import HeadSpread


class EfficientDetBoxes(nn.Module):
    """effdet's EfficientDet: logits and deltas of five levels (bench.py, anchors.py)."""

    rows_apart = True

    def __init__(self, model: Any, anchors: torch.Tensor) -> None:
        super().__init__()
        self.model = model
        self.anchors: torch.Tensor
        """[rows, 4]: top, left, bottom, right in pixels."""
        self.register_buffer("anchors", anchors, persistent=False)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Take normalised images [N, 3, H, W] of the size that the model was made for."""
        logits, deltas = self.model(image)
        classes = self.model.config.num_classes
        images = image.shape[0]
        marks = torch.cat([one.permute(0, 2, 3, 1).reshape(images, -1) for one in logits], 1)
        rows = torch.cat([one.permute(0, 2, 3, 1).reshape(images, -1, 4) for one in deltas], 1)
        best = BestRows.of(marks)
        pairs = BestRows(best.scores, torch.div(best.places, classes, rounding_mode="floor"))
        moved, anchors = pairs.take(rows), pairs.of_table(self.anchors)
        sizes = anchors[..., 2:] - anchors[..., :2]
        centres = moved[..., :2] * sizes + (anchors[..., :2] + anchors[..., 2:]) / 2
        boxes = corners(centres.flip(-1), (torch.exp(moved[..., 2:]) * sizes).flip(-1))
        return answer(boxes, torch.sigmoid(best.scores), best.places - pairs.places * classes)

    def head_spreads(self) -> list[HeadSpread]:
        """Return what the heads' last layers give once they are trained: few scores above 0.3, small steps."""
        marks, steps = self.model.class_net.predict.conv_pw, self.model.box_net.predict.conv_pw
        return [HeadSpread(marks, -5.5, 1.2), HeadSpread(steps, 0.0, 0.3)]


class DetrBoxes(nn.Module):
    """transformers' DetrForObjectDetection: a class and a box for each query, none of which is suppressed."""

    rows_apart = True

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Take normalised images [N, 3, H, W], all of whose pixels are the picture's."""
        found = self.model(pixel_values=image)
        decoded: dict[str, torch.Tensor] = Detr((image.shape[2], image.shape[3]))(found.logits, found.pred_boxes)
        return decoded

    def head_spreads(self) -> list[HeadSpread]:
        """Return what the heads' last layers give once they are trained: some classes for sure, boxes all over."""
        return [
            HeadSpread(self.model.model.input_projection, 0.0, 1.0, at_once=True),
            HeadSpread(self.model.class_labels_classifier, 0.0, 2.0),
            HeadSpread(self.model.bbox_predictor.layers[-1], 0.0, 1.0),
        ]
