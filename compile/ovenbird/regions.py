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

CHUNK = 64
"""Regions that the plain version pools at once."""


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
        for chunk in torch.split(torch.where(levels == level)[0], CHUNK):
            pooled[chunk] = _pooled(one, regions[chunk], scale, size, samples)
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
    images = regions[:, 0].long()
    found = maps[images]
    for axis in (1, 0):  # columns, then rows: a bilinear sample is one along each
        extent = maps.shape[2 + axis]
        start, end = regions[:, 2 - axis] * scale, regions[:, 4 - axis] * scale
        length = (end - start).clamp(min=1.0) / size
        step = torch.arange(size * samples)
        place = (
            start[:, None] + (step // samples) * length[:, None] + (step % samples + 0.5) * length[:, None] / samples
        )
        there = (place >= -1.0) & (place <= extent)
        near = place.clamp(0.0, extent - 1.0)
        low = near.floor()
        share = near - low
        below, above = low.long(), (low.long() + 1).clamp(max=extent - 1)
        found = _along(found, 2 + axis, below, (1 - share) * there) + _along(found, 2 + axis, above, share * there)
    bins = found.reshape(*found.shape[:2], size, samples, size, samples)
    return bins.mean((3, 5))


def _along(maps: torch.Tensor, axis: int, places: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    shape = [len(places), 1, 1, 1]
    shape[axis] = places.shape[1]
    wide = [*maps.shape]
    wide[axis] = places.shape[1]
    return torch.gather(maps, axis, places.view(shape).expand(wide)) * weights.view(shape)


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
        whole = functional.interpolate(one[:, None], (down, across), mode="bicubic", align_corners=False).flatten(1)
        place = whole.argmax(1)
        found[number, :, 0] = (place % across + 0.5) * (wide / across) + left
        found[number, :, 1] = (torch.div(place, across, rounding_mode="floor") + 0.5) * (tall / down) + top
        found[number, :, 2] = whole.gather(1, place[:, None])[:, 0]
    return found


@find_keypoints.register_fake
def _(maps: torch.Tensor, regions: torch.Tensor, limit: int) -> torch.Tensor:
    return maps.new_empty((*maps.shape[:2], 3))
