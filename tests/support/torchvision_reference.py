"""torchvision's own detection code, run eagerly, also where its C++ operators are missing: plain torch in their place.

detections = detect(net, image, (600, 800))     # {"boxes": [K, 4], "scores": [K], "labels": [K]} as it gives them
"""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np
import torch

from ovenbird.networks.torchvision import import_torchvision


def nms(boxes: torch.Tensor, scores: torch.Tensor, threshold: float) -> torch.Tensor:
    """Return the numbers of the boxes that are kept, best first: greedy, by torchvision's definition."""
    order = torch.argsort(scores, descending=True, stable=True).numpy()
    sides = np.ascontiguousarray(boxes.numpy()[order].T)
    areas = (sides[2] - sides[0]) * (sides[3] - sides[1])
    kept, left = [], np.arange(len(order))
    while len(left):
        best, left = left[0], left[1:]
        kept.append(order[best])
        rest = sides[:, left]
        common = np.minimum(rest[2:], sides[2:, best, None]) - np.maximum(rest[:2], sides[:2, best, None])
        shared = common.clip(0)[0] * common.clip(0)[1]
        with np.errstate(invalid="ignore"):  # two boxes without area: 0 / 0 exceeds no threshold, and both are kept
            left = left[~(shared / (areas[left] + areas[best] - shared) > threshold)]
    return torch.tensor(kept, dtype=torch.int64)


def batched_nms(boxes: torch.Tensor, scores: torch.Tensor, groups: torch.Tensor, threshold: float) -> torch.Tensor:
    """Return what `_batched_nms_vanilla` returns: each group apart, then all by score."""
    kept = torch.zeros(len(scores), dtype=torch.bool)
    for group in groups.unique():
        own = torch.where(groups == group)[0]
        kept[own[nms(boxes[own], scores[own], threshold)]] = True
    found = torch.where(kept)[0]
    return found[scores[found].sort(descending=True)[1]]


def roi_align(
    maps: torch.Tensor, regions: torch.Tensor, output_size: Any, spatial_scale: float, sampling_ratio: int
) -> torch.Tensor:
    """Return what torchvision's `roi_align` with `aligned=False` returns, bin by bin."""
    size, samples = output_size[0], sampling_ratio
    height, width = maps.shape[2:]
    pooled = torch.zeros(len(regions), maps.shape[1], size, size)
    for row, (image, *corners) in enumerate(regions.tolist()):
        left, top, right, bottom = (value * spatial_scale for value in corners)
        down, across = (max(extent, 1.0) / size for extent in (bottom - top, right - left))
        step = torch.arange(size * samples)
        offsets = step // samples + (step % samples + 0.5) / samples
        grid = torch.meshgrid(top + offsets * down, left + offsets * across, indexing="ij")
        inside = (grid[0] >= -1) & (grid[0] <= height) & (grid[1] >= -1) & (grid[1] <= width)
        y, x = grid[0].clamp(0, height - 1), grid[1].clamp(0, width - 1)
        low = (y.floor().long(), x.floor().long())
        high = ((low[0] + 1).clamp(max=height - 1), (low[1] + 1).clamp(max=width - 1))
        dy, dx = y - low[0], x - low[1]
        one = maps[int(image)]
        mixed = (
            one[:, low[0], low[1]] * (1 - dy) * (1 - dx)
            + one[:, low[0], high[1]] * (1 - dy) * dx
            + one[:, high[0], low[1]] * dy * (1 - dx)
            + one[:, high[0], high[1]] * dy * dx
        ) * inside
        pooled[row] = mixed.reshape(-1, size, samples, size, samples).mean((2, 4))
    return pooled


def detect(net: Any, image: torch.Tensor, size: tuple[int, int]) -> dict[str, torch.Tensor]:
    """Run a detector of torchvision on one normalised image [1, 3, H, W] that is padded behind height and width `size`,
    by its own code behind its transform.
    """
    import_torchvision()
    from torchvision.models.detection.image_list import ImageList

    images = ImageList(image, [size])
    with (
        torch.no_grad(),
        mock.patch("torchvision.ops.boxes.batched_nms", batched_nms),
        mock.patch("torchvision.ops.poolers.roi_align", roi_align),
    ):
        found = net.backbone(image)
        maps = {"0": found} if isinstance(found, torch.Tensor) else found
        if hasattr(net, "roi_heads"):
            proposals, _ = net.rpn(images, maps)
            return net.roi_heads(maps, proposals, images.image_sizes)[0][0]
        head = net.head(list(maps.values()))
        anchors = net.anchor_generator(images, list(maps.values()))
        if hasattr(net, "topk_candidates") and type(net).__name__ != "SSD":
            places = [one.shape[2] * one.shape[3] for one in maps.values()]
            each = head["cls_logits"].shape[1] // sum(places)
            counts = [count * each for count in places]
            split = {key: list(value.split(counts, 1)) for key, value in head.items()}
            return net.postprocess_detections(split, [list(anchors[0].split(counts))], images.image_sizes)[0]
        return net.postprocess_detections(head, anchors, images.image_sizes)[0]
