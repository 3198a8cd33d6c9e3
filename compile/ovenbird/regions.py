"""Pooling of regions from a pyramid of maps, each region from the level that its size asks for (RoIAlign, FPN), and the
places of keypoints on maps of regions, as Mask R-CNN finds them: on each map resized to its region's own pixels.

    from ovenbird.regions import find_keypoints, pool_regions

    pooled = pool_regions(maps, regions, levels, scales=[0.25, 0.125], size=7, samples=2)     # [R, C, 7, 7]
    found = find_keypoints(marks, regions[:, 1:], limit=800)        # [R, P, m, m] -> [R, P, 3]: across, down, value

torchvision's `roi_align` takes one map, and is C++ that is not always there; its `heatmaps_to_keypoints` makes maps as
large as each region is, which no compiled tensor can be.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional


@torch.library.custom_op("ovenbird::pool_regions", mutates_args=())
def pool_regions(
    maps: Sequence[torch.Tensor],
    regions: torch.Tensor,
    levels: torch.Tensor,
    scales: Sequence[float],
    size: int,
    samples: int,
) -> torch.Tensor:
    """Return [R, C, size, size]: for each region [R, 5] (image, left, top, right, bottom) the mean of `samples` along
    both axes of each bin, between the pixels of the map [N, C, H, W] that `levels` [R] names. As `roi_align` with
    `aligned=False` (He et al. 2017).
    """
    pooled = maps[0].new_zeros((regions.shape[0], maps[0].shape[1], size, size))
    for level, (one, scale) in enumerate(zip(maps, scales, strict=True)):
        own = torch.where(levels == level)[0]
        pooled[own] = _pooled(one, regions[own], scale, size, samples)
    return pooled


@pool_regions.register_fake
def _(
    maps: Sequence[torch.Tensor],
    regions: torch.Tensor,
    levels: torch.Tensor,
    scales: Sequence[float],
    size: int,
    samples: int,
) -> torch.Tensor:
    return maps[0].new_empty((regions.shape[0], maps[0].shape[1], size, size))


def _pooled(maps: torch.Tensor, regions: torch.Tensor, scale: float, size: int, samples: int) -> torch.Tensor:
    """Pool from one level: each bin is a weighted sum of pixels, rows of a table [N * H * W, C]."""
    channels, height, width = maps.shape[1:]
    columns, across = _taps(regions[:, 1] * scale, regions[:, 3] * scale, width, size, samples)
    rows, down = _taps(regions[:, 2] * scale, regions[:, 4] * scale, height, size, samples)
    rows = rows + (regions[:, 0].long() * height)[:, None, None]
    places = rows[:, :, None, :, None] * width + columns[:, None, :, None, :]
    weights = down[:, :, None, :, None] * across[:, None, :, None, :]
    pixels = maps.permute(0, 2, 3, 1).reshape(-1, channels)
    bins, taps = len(regions) * size * size, (2 * samples) ** 2
    found = functional.embedding_bag(
        places.reshape(bins, taps), pixels, mode="sum", per_sample_weights=weights.reshape(bins, taps)
    )
    return found.view(-1, size, size, channels).permute(0, 3, 1, 2)


def _taps(
    start: torch.Tensor, end: torch.Tensor, extent: int, size: int, samples: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return which pixels of an axis each bin is the sum of, and their weights: both [R, size, 2 * samples]."""
    length = (end - start).clamp(min=1.0) / size
    step = torch.arange(size * samples)
    place = start[:, None] + (step // samples) * length[:, None] + (step % samples + 0.5) * length[:, None] / samples
    there = ((place >= -1.0) & (place <= extent)) / samples
    near = place.clamp(0.0, extent - 1.0)
    low = near.floor()
    share = near - low
    pixels = torch.stack((low.long(), (low.long() + 1).clamp(max=extent - 1)), -1)
    weights = torch.stack(((1 - share) * there, share * there), -1)
    return pixels.view(-1, size, 2 * samples), weights.view(-1, size, 2 * samples)


@torch.library.custom_op("ovenbird::find_keypoints", mutates_args=())
def find_keypoints(maps: torch.Tensor, regions: torch.Tensor, limit: int) -> torch.Tensor:
    """Return for each map of `maps` [R, P, m, m] where its largest value is, and the value: float32 [R, P, 3].

    Maps are resized bicubically to the whole pixels that their region (left, top, right, bottom) covers, one at least
    and `limit` at most along each axis. Of equal values the first counts, row by row.
    """
    found = maps.new_zeros((*maps.shape[:2], 3))
    sides = (regions[:, 2:] - regions[:, :2]).clamp(min=1)
    for number, (one, (left, top, _, _), (wide, tall)) in enumerate(zip(maps, regions, sides, strict=True)):
        across, down = min(int(wide.ceil()), limit), min(int(tall.ceil()), limit)
        whole = (_resizing(down, one.shape[1]) @ one @ _resizing(across, one.shape[2]).T).flatten(1)
        place = whole.argmax(1)
        found[number, :, 0] = (place % across + 0.5) * (wide / across) + left
        found[number, :, 1] = (torch.div(place, across, rounding_mode="floor") + 0.5) * (tall / down) + top
        found[number, :, 2] = whole.gather(1, place[:, None])[:, 0]
    return found


@find_keypoints.register_fake
def _(maps: torch.Tensor, regions: torch.Tensor, limit: int) -> torch.Tensor:
    return maps.new_empty((*maps.shape[:2], 3))


def _resizing(length: int, side: int) -> torch.Tensor:
    """Return the matrix [length, side] that resizes an axis bicubically, as `interpolate` does: a product with it takes
    a tenth of the time.
    """
    same = torch.eye(side)[None, None]
    return functional.interpolate(same, (length, side), mode="bicubic", align_corners=False)[0, 0]
