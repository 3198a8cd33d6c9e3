"""Large photographs by tiles: where the tiles lie, and what was found in them put together.

    areas = tile_areas((4000, 3000), side=(640, 640), overlap=0.2)      # the whole photograph, then each tile
    merged = merge([(area, boxes), ...], (4000, 3000), settings)

What is larger than a tile is found in the whole photograph, what is small in a tile. Where tiles overlap, things are
found twice: suppression, as between candidates, leaves the best. A box that ends where its tile was cut out is a piece,
maybe; it goes where a better box, or one that was not cut, has most of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..errors import WrongOption
from ..limits import MAX_CANDIDATES, MAX_TILES
from ..tensors.arrays import Array
from ..tensors.frame import ImageSize
from .boxes import Box, BoxSettings, Rectangle
from .nms import best, suppress

Area = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels of the photograph."""

_CUT_PIXELS = 2.0
"""A box ends at its tile's edge where it is so near."""
_COVERED = 0.6
"""The share of a cut box that another must have."""
_SPARE = 4
"""Times the boxes asked for are kept until pieces are gone."""


def tile_areas(size: ImageSize, side: tuple[int, int], overlap: float) -> list[Area]:
    """Return the whole photograph of `size` (width, height), then its tiles of `side` (height, width), each with at
    least the share `overlap` of the one before. Raises WrongOption where there are too many.
    """
    across, down = _starts(size[0], side[1], overlap), _starts(size[1], side[0], overlap)
    if len(across) * len(down) > MAX_TILES:
        raise WrongOption(
            f"tiles of {side[0]}x{side[1]} are {len(across) * len(down)} in an image of {size[1]}x{size[0]}, "
            f"limit {MAX_TILES}: give larger ones"
        )
    whole: Area = (0, 0, *size)
    tiles = [(left, top, min(left + side[1], size[0]), min(top + side[0], size[1])) for top in down for left in across]
    return [whole, *(tile for tile in tiles if tile != whole)]


def _starts(length: int, side: int, overlap: float) -> list[int]:
    """Return where tiles begin along an axis, evenly spread from one end to the other."""
    if side >= length:
        return [0]
    count = 1 + math.ceil((length - side) / max(1, int(side * (1 - overlap))))
    return [round(place * (length - side) / (count - 1)) for place in range(count)]


def merge(found: Sequence[tuple[Area, Sequence[Box]]], size: ImageSize, settings: BoxSettings) -> tuple[Box, ...]:
    """Return the boxes of the photograph of `size`, given those of each area in its own pixels."""
    boxes = [(_shifted(box, area, size), _is_cut(box, area, size)) for area, some in found for box in some]
    scores = np.asarray([box.score for box, _ in boxes], np.float32)
    chosen = np.sort(best(scores, MAX_CANDIDATES))
    boxes, scores = [boxes[place] for place in chosen], scores[chosen]
    sides = np.asarray([box.box for box, _ in boxes], np.float32).reshape(-1, 4)
    classes = np.asarray([0 if settings.agnostic else box.index for box, _ in boxes], np.int64)
    kept = suppress(sides, scores, classes, settings.iou, _SPARE * settings.max_boxes)
    pieces = _pieces(sides[kept], classes[kept], np.asarray([cut for _, cut in boxes], bool)[kept])
    return tuple(boxes[place][0] for place in kept[~pieces][: settings.max_boxes])


def _shifted(box: Box, area: Area, size: ImageSize) -> Box:
    """Return a box of an area in pixels of the photograph."""
    left, top = area[:2]
    sides: Rectangle = (box.box[0] + left, box.box[1] + top, box.box[2] + left, box.box[3] + top)
    mask, points = box.mask, box.keypoints
    if mask is not None:
        x0, y0, x1, y1 = mask.box
        mask = replace(mask, box=(x0 + left, y0 + top, x1 + left, y1 + top), size=size)
    if points is not None:
        points = tuple((x + left, y + top, score) for x, y, score in points)
    return replace(box, box=sides, mask=mask, keypoints=points)


def _is_cut(box: Box, area: Area, size: ImageSize) -> bool:
    """Return whether a box, in pixels of its area, ends where the area does and the photograph does not."""
    ends = (box.box[0], box.box[1], area[2] - area[0] - box.box[2], area[3] - area[1] - box.box[3])
    inner = (area[0] > 0, area[1] > 0, area[2] < size[0], area[3] < size[1])
    return any(end < _CUT_PIXELS and inside for end, inside in zip(ends, inner, strict=True))


def _pieces(sides: Array, classes: Array, cut: Array) -> Array:
    """Return bool [K]: whether a box that was cut lies for the most part in a better one of its class, or in one that
    was not cut; the best box stands first.
    """
    result = np.zeros(len(sides), bool)
    left, top, right, bottom = sides.T
    for place in np.flatnonzero(cut):
        x0, y0, x1, y1 = sides[place]
        shared = np.clip(np.minimum(right, x1) - np.maximum(left, x0), 0, None)
        shared *= np.clip(np.minimum(bottom, y1) - np.maximum(top, y0), 0, None)
        others = ~cut | (np.arange(len(sides)) < place)
        others &= classes == classes[place]
        others[place] = False
        result[place] = (shared[others] > _COVERED * (x1 - x0) * (y1 - y0)).any()
    return result
