"""The places of keypoints on maps of regions, as Mask R-CNN finds them: on each map resized to its region's own pixels.

    from ovenbird.keypoints import find_keypoints

    found = find_keypoints(maps, regions, limit=800)        # [R, P, m, m], [R, 4] -> [R, P, 3]: across, down, the value

torchvision's `heatmaps_to_keypoints` makes maps as large as each region is, which no compiled tensor can be.
"""

from __future__ import annotations

import torch
from torch.nn import functional


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
