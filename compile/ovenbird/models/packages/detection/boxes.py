"""torchvision's arithmetic of boxes (models/detection/_utils.py, ops/boxes.py), for any number of dimensions.

boxes = clipped(moved(deltas, anchors, (1.0, 1.0, 1.0, 1.0)), picture_sides(image, padded=True))
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

LARGEST = math.log(1000.0 / 16)
"""The logarithm of what a side may be multiplied by, at most."""


def moved(deltas: torch.Tensor, boxes: torch.Tensor, weights: Sequence[float]) -> torch.Tensor:
    """Return `boxes` [..., 4] moved and grown by `deltas` [..., 4] (BoxCoder.decode_single)."""
    sizes = boxes[..., 2:] - boxes[..., :2]
    centres = boxes[..., :2] + 0.5 * sizes
    shift = deltas[..., :2] / torch.tensor(weights[:2])
    grow = torch.clamp(deltas[..., 2:] / torch.tensor(weights[2:]), max=LARGEST)
    centres, half = shift * sizes + centres, 0.5 * (torch.exp(grow) * sizes)
    return torch.cat((centres - half, centres + half), -1)


def reached(distances: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """Return what reaches `distances` [..., 4] to each side of boxes' centres, in their sizes (BoxLinearCoder)."""
    sizes = boxes[..., 2:] - boxes[..., :2]
    centres = 0.5 * (boxes[..., :2] + boxes[..., 2:])
    return torch.cat((centres - distances[..., :2] * sizes, centres + distances[..., 2:] * sizes), -1)


def clipped(boxes: torch.Tensor, sides: torch.Tensor) -> torch.Tensor:
    """Return the boxes [N, K, 4] within pictures whose `sides` are as `picture_sides` has them."""
    return torch.minimum(torch.clamp(boxes, min=0.0), sides)


def picture_sides(image: torch.Tensor, padded: bool) -> torch.Tensor:
    """Return width, height, width, height [N, 1, 4] of the pictures in the top left corners of images [N, 3, H, W].

    `padded`: what lies right of them and below is 0, as no normalised pixel is; else they are all of the image.
    """
    height, width = image.shape[2:]
    if not padded:
        return torch.tensor([[[width, height, width, height]]], dtype=torch.float32)
    there = image.abs().amax(1)
    across, down = (
        torch.where(there.amax(axis) > 0, torch.arange(1.0, side + 1), torch.zeros(side)).amax(1)
        for axis, side in ((1, width), (2, height))
    )
    return torch.stack((across, down, across, down), -1)[:, None]


def level_anchors(
    generator: torch.nn.Module, maps: Sequence[torch.Tensor], image: tuple[int, int]
) -> list[torch.Tensor]:
    """Return torchvision's anchors on each level, corners in pixels."""
    sizes = [list(one.shape[-2:]) for one in maps]
    strides = [[image[0] // height, image[1] // width] for height, width in sizes]
    found: list[torch.Tensor] = generator.grid_anchors(sizes, strides)  # type: ignore[operator]
    return found


def default_boxes(generator: torch.nn.Module, maps: Sequence[torch.Tensor], image: tuple[int, int]) -> torch.Tensor:
    """Return torchvision's default boxes of an SSD, corners in pixels."""
    shares = generator._grid_default_boxes([list(one.shape[-2:]) for one in maps], list(image))  # type: ignore[operator]
    size = torch.tensor([image[1], image[0]])
    half = 0.5 * shares[:, 2:]
    return torch.cat(((shares[:, :2] - half) * size, (shares[:, :2] + half) * size), -1)
