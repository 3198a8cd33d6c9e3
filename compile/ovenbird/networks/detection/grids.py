"""Where the rows of anchor-free detectors are: the centres of a grid's places, level by level, row by row.

places((640, 640), (8, 16, 32))         # float32 [8400, 3]: x and y in places, pixels a place
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

STRIDES = (8, 16, 32)
"""Pixels a place of the three levels that YOLO's networks have."""
KNOWN_STRIDES = (STRIDES, (16, 32), (4, 8, 16, 32), (8, 16, 32, 64), (8, 16, 32, 64, 128))
"""Of all networks of its kind: the tiny ones have two levels, those for small or large things one more (P2, P6, P7)."""


def levels(image: tuple[int, int], strides: Sequence[int] = STRIDES) -> list[tuple[int, int]]:
    """Return the height and width of each level's grid, for images of height and width `image`."""
    return [(math.ceil(image[0] / stride), math.ceil(image[1] / stride)) for stride in strides]


def count(image: tuple[int, int], strides: Sequence[int] = STRIDES) -> int:
    """Return how many places all levels have."""
    return sum(height * width for height, width in levels(image, strides))


def known_counts(image: tuple[int, int]) -> frozenset[int]:
    """Return how many places networks of each of the known numbers of levels have."""
    return frozenset(count(image, strides) for strides in KNOWN_STRIDES)


def places(image: tuple[int, int], strides: Sequence[int] = STRIDES) -> torch.Tensor:
    """Return each place's x, y and stride."""
    found = []
    for (height, width), stride in zip(levels(image, strides), strides, strict=True):
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        found.append(torch.stack((x, y, torch.full_like(x, stride)), -1).reshape(-1, 3))
    return torch.cat(found).float()


FACE_SIDES = ((10, 16, 24), (32, 48), (64, 96), (128, 192, 256))
"""Sides in pixels of the square boxes that a face detector of Linzaer's begins with, level by level."""
FACE_STRIDES = (8, 16, 32, 64)


def face_priors(image: tuple[int, int]) -> torch.Tensor:
    """Return centre x, y, width, height of each box, as shares of the image, at most 1."""
    height, width = image
    found = []
    for (rows, columns), stride, sides in zip(levels(image, FACE_STRIDES), FACE_STRIDES, FACE_SIDES, strict=True):
        y, x = torch.meshgrid(torch.arange(rows) + 0.5, torch.arange(columns) + 0.5, indexing="ij")
        centres = torch.stack((x * stride / width, y * stride / height), -1)[:, :, None].expand(-1, -1, len(sides), -1)
        sizes = torch.tensor([(side / width, side / height) for side in sides]).expand(rows, columns, -1, -1)
        found.append(torch.cat((centres, sizes), -1).reshape(-1, 4))
    return torch.cat(found).clamp(0.0, 1.0)


def face_count(image: tuple[int, int]) -> int:
    """Return how many boxes there are."""
    grids = levels(image, FACE_STRIDES)
    return sum(rows * columns * len(sides) for (rows, columns), sides in zip(grids, FACE_SIDES, strict=True))
