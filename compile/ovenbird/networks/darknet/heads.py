"""darknet's answers, decoded into boxes in pixels of the network's input: `yolo`, `region`, `detection`.

    rows = YoloHead(classes=20, anchors=((26, 48), (67, 84), (72, 175))).rows(maps, (320, 320))
    rows.scores, rows.classes, rows.boxes, rows.table       # one row for each anchor of each place

yolo_layer.c, region_layer.c, detection_layer.c: a box's score is its own probability times that of its likeliest class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ovenbird.networks.detection.candidates import BestRows, answer, corners


@dataclass(frozen=True)
class Rows:
    """All boxes that a head sees in an image: scores and classes [N, R], raw boxes [N, R, 4], and what decodes them."""

    scores: torch.Tensor
    classes: torch.Tensor
    boxes: torch.Tensor
    table: torch.Tensor
    """[R, 6]: the place in the grid (x, y), pixels a place (x, y), and what sizes are multiplied by (x, y)."""


@dataclass(frozen=True)
class _AnchorHead:
    classes: int
    anchors: tuple[tuple[float, float], ...]

    @property
    def channels(self) -> int:
        """What the layer before must give."""
        return len(self.anchors) * (self.classes + 5)


@dataclass(frozen=True)
class YoloHead(_AnchorHead):
    """YOLOv3 and later: every class has a probability of its own. Anchors in pixels: width, height."""

    scale: float = 1.0
    """`scale_x_y`: how far a centre may leave its place."""
    ready: bool = False
    """`new_coords`: the layer before has applied the sigmoid; sizes are squares."""

    def rows(self, maps: torch.Tensor, image: tuple[int, int]) -> Rows:
        """Return the rows of maps [N, channels, H, W], for images of `image` pixels (height, width)."""
        parts = _by_anchor(maps, len(self.anchors))
        best, classes = parts[:, :, 5:].max(2)
        certain = parts[:, :, 4]
        scores = certain * best if self.ready else torch.sigmoid(certain) * torch.sigmoid(best)
        pixels = _pixels(maps, image)
        return _rows(scores, classes, parts, _table(maps, pixels, self.anchors, (1.0, 1.0)))

    def decode(self, raw: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        """Return the corners of chosen boxes."""
        share = raw[..., :2] if self.ready else torch.sigmoid(raw[..., :2])
        inside = share * self.scale - 0.5 * (self.scale - 1.0)
        grown = torch.square(raw[..., 2:] * 2.0) if self.ready else torch.exp(raw[..., 2:])
        return corners((table[..., :2] + inside) * table[..., 2:4], grown * table[..., 4:])


@dataclass(frozen=True)
class RegionHead(_AnchorHead):
    """YOLOv2: classes exclude each other. Anchors in places of the grid: width, height."""

    softmax: bool = True

    def rows(self, maps: torch.Tensor, image: tuple[int, int]) -> Rows:
        """Return the rows of maps [N, channels, H, W], for images of `image` pixels (height, width)."""
        parts = _by_anchor(maps, len(self.anchors))
        best, classes = parts[:, :, 5:].max(2)
        if self.softmax:
            likely = 1.0 / torch.exp(parts[:, :, 5:] - best[:, :, None]).sum(2)
        else:
            likely = torch.sigmoid(best)
        pixels = _pixels(maps, image)
        return _rows(torch.sigmoid(parts[:, :, 4]) * likely, classes, parts, _table(maps, pixels, self.anchors, pixels))

    def decode(self, raw: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        """Return the corners of chosen boxes."""
        centres = (table[..., :2] + torch.sigmoid(raw[..., :2])) * table[..., 2:4]
        return corners(centres, torch.exp(raw[..., 2:]) * table[..., 4:])


@dataclass(frozen=True)
class GridHead:
    """YOLOv1: a row of numbers; each place of a square grid has classes, and some boxes."""

    classes: int
    side: int
    boxes: int
    squared: bool
    softmax: bool

    @property
    def channels(self) -> int:
        """What the layer before must give."""
        return self.side**2 * (self.classes + self.boxes * 5)

    def rows(self, maps: torch.Tensor, image: tuple[int, int]) -> Rows:
        """Return the rows of numbers [N, channels, 1, 1], for images of `image` pixels (height, width)."""
        numbers, places = maps.flatten(1), self.side**2
        shares = numbers[:, : places * self.classes].reshape(-1, places, self.classes)
        shares = torch.softmax(shares, 2) if self.softmax else shares
        best, classes = shares.max(2)
        end = places * (self.classes + self.boxes)
        certain = numbers[:, places * self.classes : end].reshape(-1, places, self.boxes)
        scores = (certain * best[:, :, None]).flatten(1)
        raw = numbers[:, end:].reshape(-1, places * self.boxes, 4)
        pixels = (image[1] / self.side, image[0] / self.side)
        grid = _grid(self.side, self.side, pixels, (float(image[1]), float(image[0])))
        spread = classes[:, :, None].expand(-1, -1, self.boxes).flatten(1)
        return Rows(scores, spread, raw, grid[:, None].expand(-1, self.boxes, -1).flatten(0, 1))

    def decode(self, raw: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        """Return the corners of chosen boxes."""
        sizes = torch.square(raw[..., 2:]) if self.squared else raw[..., 2:]
        return corners((table[..., :2] + raw[..., :2]) * table[..., 2:4], sizes * table[..., 4:])


Head = YoloHead | RegionHead | GridHead


def decode(heads: Sequence[Head], maps: Sequence[torch.Tensor], image: tuple[int, int]) -> dict[str, torch.Tensor]:
    """Return the best boxes of all heads, which are of one kind, each with its maps."""
    found = [head.rows(one, image) for head, one in zip(heads, maps, strict=True)]
    best = BestRows.of(_joined([rows.scores for rows in found]))
    places = best.of_table(torch.cat([rows.table for rows in found]))
    boxes = heads[0].decode(best.take(_joined([rows.boxes for rows in found])), places)
    return answer(boxes, best.scores, best.take(_joined([rows.classes for rows in found])))


def _joined(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), 1)


def _by_anchor(maps: torch.Tensor, anchors: int) -> torch.Tensor:
    """Return [N, anchors, numbers a box, places]."""
    images, channels, height, width = maps.shape
    return maps.reshape(images, anchors, channels // anchors, height * width)


def _rows(scores: torch.Tensor, classes: torch.Tensor, parts: torch.Tensor, table: torch.Tensor) -> Rows:
    raw = parts[:, :, :4].transpose(2, 3).flatten(1, 2)
    return Rows(scores.flatten(1), classes.flatten(1), raw, table)


def _pixels(maps: torch.Tensor, image: tuple[int, int]) -> tuple[float, float]:
    """Return the pixels of one place along x and y."""
    return image[1] / maps.shape[3], image[0] / maps.shape[2]


def _grid(height: int, width: int, pixels: tuple[float, float], sizes: tuple[float, float]) -> torch.Tensor:
    """Return the table of one box a place."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = torch.stack((x, y), -1).reshape(-1, 2).float()
    return torch.cat((places, torch.tensor([*pixels, *sizes]).expand(height * width, 4)), 1)


def _table(
    maps: torch.Tensor,
    pixels: tuple[float, float],
    anchors: Sequence[tuple[float, float]],
    unit: tuple[float, float],
) -> torch.Tensor:
    """Return the table of all anchors, each a pair in `unit` pixels, at all places."""
    height, width = maps.shape[2:]
    return torch.cat([_grid(height, width, pixels, (x * unit[0], y * unit[1])) for x, y in anchors])
