"""What known detectors give, decoded into boxes: each kind a module over the network's own outputs.

    decoder = Yolov8((640, 640))
    decoder(output)             # [N, 84, 8400] -> {"boxes": [N, K, 4], "scores": [N, K], "classes": [N, K]}

Boxes are corners in pixels of the network's input, whose height and width every decoder is made for.
"""

from __future__ import annotations

import torch
from torch import nn

from ovenbird.networks.detection import grids
from ovenbird.networks.detection.candidates import BestRows, answer, corners

DecodedBoxes = dict[str, torch.Tensor]


class Decoder(nn.Module):
    """For images of one size: height and width in pixels."""

    def __init__(self, image: tuple[int, int]) -> None:
        super().__init__()
        self.image = image

    @property
    def extent(self) -> torch.Tensor:
        """Width, height, width, height: what shares of the image are multiplied by."""
        height, width = self.image
        return torch.tensor([width, height, width, height], dtype=torch.float32)


class Yolov5(Decoder):
    """YOLOv5 to v7: rows of centre, size, their own probability, then every class's; all decoded."""

    def forward(self, rows: torch.Tensor) -> DecodedBoxes:
        """Take [N, rows, 5 + classes]."""
        best, classes = rows[..., 5:].max(2)
        chosen = BestRows.of(rows[..., 4] * best)
        raw = chosen.take(rows[..., :4])
        return answer(corners(raw[..., :2], raw[..., 2:]), chosen.scores, chosen.take(classes))


class Yolov8(Decoder):
    """YOLOv8, v9, v11: columns of centre, size, then every class's probability."""

    def forward(self, columns: torch.Tensor) -> DecodedBoxes:
        """Take [N, 4 + classes, places], or [N, places, 4 + classes]."""
        if columns.shape[1] > columns.shape[2]:
            columns = columns.transpose(1, 2)
        best, classes = columns[:, 4:].max(1)
        chosen = BestRows.of(best)
        raw = chosen.take(columns[:, :4].transpose(1, 2))
        return answer(corners(raw[..., :2], raw[..., 2:]), chosen.scores, chosen.take(classes))


class Yolox(Decoder):
    """YOLOX: as YOLOv5, but centres and sizes as the network has them, in places of each level's grid."""

    def forward(self, rows: torch.Tensor) -> DecodedBoxes:
        """Take [N, places, 5 + classes]."""
        best, classes = rows[..., 5:].max(2)
        chosen = BestRows.of(rows[..., 4] * best)
        raw, place = chosen.take(rows[..., :4]), chosen.of_table(grids.places(self.image))
        centres = (raw[..., :2] + place[..., :2]) * place[..., 2:]
        return answer(corners(centres, torch.exp(raw[..., 2:]) * place[..., 2:]), chosen.scores, chosen.take(classes))


class EndToEnd(Decoder):
    """YOLOv10 and others that suppress within the network: rows of corners, score, class."""

    def forward(self, rows: torch.Tensor) -> DecodedBoxes:
        """Take [N, rows, 6]."""
        return answer(rows[..., :4], rows[..., 4], rows[..., 5])


class FastestDet(Decoder):
    """FastestDet: one map of a probability, offset and size, then every class's."""

    def forward(self, maps: torch.Tensor) -> DecodedBoxes:
        """Take [N, 5 + classes, height, width]."""
        height, width = maps.shape[2:]
        columns = maps.flatten(2)
        best, classes = columns[:, 5:].max(1)
        chosen = BestRows.of(columns[:, 0] ** 0.6 * best**0.4)
        raw = chosen.take(columns[:, 1:5].transpose(1, 2))
        place = chosen.of_table(grids.places((height, width), (1,)))[..., :2]
        unit = torch.tensor([self.image[1] / width, self.image[0] / height])
        centres = (place + torch.tanh(raw[..., :2])) * unit
        return answer(
            corners(centres, torch.sigmoid(raw[..., 2:]) * self.extent[:2]), chosen.scores, chosen.take(classes)
        )


class Ssd(Decoder):
    """SSD whose network decodes: every class's probability, the first of which is the background, and corners."""

    unit = "shares"

    def forward(self, scores: torch.Tensor, boxes: torch.Tensor) -> DecodedBoxes:
        """Take [N, rows, 1 + classes] and [N, rows, 4]."""
        best, classes = scores[..., 1:].max(2)
        chosen = BestRows.of(best)
        found = self.decoded(chosen.take(boxes), chosen)
        return answer(found, chosen.scores, chosen.take(classes))

    def decoded(self, raw: torch.Tensor, chosen: BestRows) -> torch.Tensor:
        """Return the corners in pixels."""
        return raw * self.extent


class SsdPixels(Ssd):
    """The same with corners in pixels."""

    def decoded(self, raw: torch.Tensor, chosen: BestRows) -> torch.Tensor:
        """Return the corners in pixels."""
        return raw


class Unsuppressed(Decoder):
    """What `NonMaxSuppression` takes, where a network was ended before it: every class's probability, and corners of
    which any two opposite ones are given.
    """

    def forward(self, scores: torch.Tensor, boxes: torch.Tensor) -> DecodedBoxes:
        """Take [N, classes, rows] and [N, rows, 4]."""
        best, rows = BestRows.of(scores.flatten(1)), scores.shape[2]
        classes = torch.div(best.places, rows, rounding_mode="floor")
        raw = self.decoded(BestRows(best.scores, best.places - classes * rows).take(boxes))
        near, far = raw[..., :2], raw[..., 2:]
        return answer(torch.cat((torch.minimum(near, far), torch.maximum(near, far)), -1), best.scores, classes)

    def decoded(self, raw: torch.Tensor) -> torch.Tensor:
        """Return the corners in pixels."""
        return raw


class UnsuppressedShares(Unsuppressed):
    """The same with corners as shares of the image."""

    def decoded(self, raw: torch.Tensor) -> torch.Tensor:
        """Return the corners in pixels."""
        return raw * self.extent


class FaceRfb(Ssd):
    """Linzaer's face detectors: an SSD's deltas over squares of known sides, with variances of 0.1 and 0.2."""

    def decoded(self, raw: torch.Tensor, chosen: BestRows) -> torch.Tensor:
        """Return the corners in pixels."""
        prior = chosen.of_table(grids.face_priors(self.image))
        centres = raw[..., :2] * 0.1 * prior[..., 2:] + prior[..., :2]
        return corners(centres, torch.exp(raw[..., 2:] * 0.2) * prior[..., 2:]) * self.extent


class Detr(Decoder):
    """DETR and its kin: logits over classes, the last of which is nothing, and centre and size as shares."""

    def forward(self, logits: torch.Tensor, boxes: torch.Tensor) -> DecodedBoxes:
        """Take [N, queries, classes + 1] and [N, queries, 4]."""
        scores, classes = torch.softmax(logits, 2)[..., :-1].max(2)
        return answer(corners(boxes[..., :2], boxes[..., 2:]) * self.extent, scores, classes)


class Mmdetection(Decoder):
    """MMDetection's deployed networks, which suppress themselves: rows of corners and a score, and their classes."""

    def forward(self, rows: torch.Tensor, classes: torch.Tensor) -> DecodedBoxes:
        """Take [N, rows, 5] and [N, rows]."""
        return answer(rows[..., :4], rows[..., 4], classes)


class Decoded(Decoder):
    """Networks that give boxes, scores and classes themselves."""

    def forward(self, boxes: torch.Tensor, scores: torch.Tensor, classes: torch.Tensor) -> DecodedBoxes:
        """Take [N, rows, 4] corners in pixels, [N, rows] and [N, rows]."""
        return answer(boxes, scores, classes)
