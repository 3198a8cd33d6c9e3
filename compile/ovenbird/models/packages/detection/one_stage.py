"""RetinaNet, FCOS and SSD of torchvision: backbone, head, and the best of all pairs of an anchor and a class.

net = OneStage(torchvision.models.detection.retinanet_resnet50_fpn(), padded=True)
net(image)          # {"boxes": [N, K, 4], "scores": [N, K], "classes": [N, K]}
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ovenbird.models.packages.detection import boxes as arithmetic
from ovenbird.networks.detection.candidates import BestRows, answer
from ovenbird.networks.random_weights import HeadSpread


class OneStage(nn.Module):
    """Takes normalised images of one size; boxes are clipped to the picture, which need not fill them if `padded`."""

    rows_apart = True

    def __init__(self, net: Any, padded: bool) -> None:
        super().__init__()
        self.padded = padded
        self.kind = type(net).__name__
        self.backbone = net.backbone
        self.head = net.head
        self.anchor_generator = net.anchor_generator
        self.weights = getattr(net.box_coder, "weights", (1.0,) * 4)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the best pairs."""
        features = self.backbone(image)
        maps = [features] if isinstance(features, torch.Tensor) else list(features.values())
        found = self.head(maps)
        logits, size = found["cls_logits"], (image.shape[2], image.shape[3])
        classes = logits.shape[2]
        if self.kind == "SSD":  # the first class is the background
            best = BestRows.of(torch.softmax(logits, -1)[..., 1:].flatten(1))
            classes -= 1
            anchors = arithmetic.default_boxes(self.anchor_generator, maps, size)
        elif self.kind == "FCOS":
            both = torch.sqrt(torch.sigmoid(logits) * torch.sigmoid(found["bbox_ctrness"]))
            best = BestRows.of(both.flatten(1))
            anchors = torch.cat(arithmetic.level_anchors(self.anchor_generator, maps, size))
        else:
            best = BestRows.of(logits.flatten(1))
            best = BestRows(torch.sigmoid(best.scores), best.places)
            anchors = torch.cat(arithmetic.level_anchors(self.anchor_generator, maps, size))
        rows = BestRows(best.scores, torch.div(best.places, classes, rounding_mode="floor"))
        deltas, sources = rows.take(found["bbox_regression"]), rows.of_table(anchors)
        moved = (
            arithmetic.reached(deltas, sources)
            if self.kind == "FCOS"
            else arithmetic.moved(deltas, sources, self.weights)
        )  # fmt: skip
        number = best.places - rows.places * classes + (1 if self.kind == "SSD" else 0)
        sides = arithmetic.picture_sides(image, self.padded)
        return answer(arithmetic.clipped(moved, sides), best.scores, number)

    def head_spreads(self) -> list[HeadSpread]:
        """Return what the head's last layers give once they are trained: few scores above 0.3, small steps."""
        own: Any = self.head
        regression = {"SSD": (0.0, 1.0), "FCOS": (1.0, 0.5)}.get(self.kind, (0.0, 0.3))
        marks = (0.0, 1.0) if self.kind == "SSD" else (-5.5, 1.2)
        found = [HeadSpread(layer, *marks) for layer in last_layers(own.classification_head)]
        found += [HeadSpread(layer, *regression) for layer in last_layers(own.regression_head)]
        if self.kind == "FCOS":
            found[-1] = HeadSpread(own.regression_head.bbox_ctrness, 2.0, 1.0)
            found.append(HeadSpread(own.regression_head.bbox_reg, *regression))
        return found


def last_layers(head: Any) -> list[Any]:
    """Return the layer that a head ends with, or, of an SSD's, those of each level."""
    levels = getattr(head, "module_list", [head])
    return [[layer for layer in level.modules() if isinstance(layer, nn.Conv2d)][-1] for level in levels]
