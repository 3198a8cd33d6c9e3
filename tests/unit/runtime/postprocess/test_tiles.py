"""Tiles of large photographs: they cover it, and what was found in them is told once."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ovenbird_runtime.errors import WrongOption
from ovenbird_runtime.model import Model
from ovenbird_runtime.postprocess.boxes import Box, BoxSettings
from ovenbird_runtime.postprocess.tiles import merge, tile_areas

SETTINGS = BoxSettings(0.25, 0.45, 100, False)
TILES = ((0, 0, 100, 100), (80, 0, 180, 100))
SIZE = (180, 100)


@pytest.mark.parametrize("overlap", [0.0, 0.2, 0.9])
@pytest.mark.parametrize("size", [(1, 1), (64, 48), (65, 48), (200, 100), (201, 90), (30, 500)], ids=str)
def test_tiles_cover_the_photograph(size: tuple[int, int], overlap: float) -> None:
    whole, *tiles = tile_areas(size, (48, 64), overlap)
    assert whole == (0, 0, *size)
    seen = np.zeros(size[::-1], bool)
    for left, top, right, bottom in tiles:
        assert 0 <= left < right <= size[0]
        assert 0 <= top < bottom <= size[1]
        assert (right - left, bottom - top) == (min(64, size[0]), min(48, size[1]))
        seen[top:bottom, left:right] = True
    assert seen.all() or not tiles
    if size[0] > 64:
        lefts = sorted({tile[0] for tile in tiles})
        assert all(after - before <= max(1, 64 * (1 - overlap)) for before, after in itertools.pairwise(lefts))


def test_too_many_tiles_are_refused() -> None:
    with pytest.raises(WrongOption, match=r"tiles of 8x8 are [0-9]+ in an image of 1600x3125, limit 4096: give larger"):
        tile_areas((3125, 1600), (8, 8), 0.0)


def box(*sides: float, score: float = 0.9, index: int = 0) -> Box:
    return Box("x", index, score, (sides[0], sides[1], sides[2], sides[3]))


def merged(left: list[Box], right: list[Box], **changes: Any) -> list[tuple[float, ...]]:
    settings = BoxSettings(**{**vars(SETTINGS), **changes})
    return [one.box for one in merge(list(zip(TILES, (left, right), strict=True)), SIZE, settings)]


def test_what_two_tiles_see_is_one_box() -> None:
    assert merged([box(82, 10, 98, 40)], [box(2, 10, 18, 40, score=0.8)]) == [(82, 10, 98, 40)]
    assert merged([box(10, 10, 40, 40)], [box(10, 10, 40, 40)]) == [(10, 10, 40, 40), (90, 10, 120, 40)]


def test_a_piece_goes_where_the_whole_is_there() -> None:
    """The left tile ends at 100 and sees a part of what the right one sees whole, or the other way round."""
    assert merged([box(85, 10, 100, 40)], [box(5, 10, 60, 40, score=0.5)]) == [(85, 10, 140, 40)]
    assert merged([box(85, 10, 100, 40)], [box(5, 10, 60, 40, score=0.5, index=1)]) == [
        (85, 10, 100, 40),
        (85, 10, 140, 40),
    ]
    assert merged([box(20, 10, 98, 40)], [box(0, 10, 18, 40, score=0.95)]) == [(20, 10, 98, 40)]
    assert merged([box(85, 10, 100, 40)], []) == [(85, 10, 100, 40)]
    assert merged([box(0, 10, 15, 40)], [box(85, 10, 100, 40)]) == [
        (0, 10, 15, 40),
        (165, 10, 180, 40),
    ]  # the photograph's edges


def test_settings_hold_for_the_whole() -> None:
    boxes = [box(10 * i, 0, 10 * i + 5, 5, score=0.5 + i / 100) for i in range(8)]
    assert len(merged(boxes, boxes, max_boxes=3)) == 3
    assert merged([box(85, 10, 99, 40)], [box(5, 10, 19, 40, index=1, score=0.8)], agnostic=True) == [(85, 10, 99, 40)]


def test_boxes_of_a_tile_lie_in_the_photograph(detector: Model) -> None:
    image = Image.new("RGB", (192, 96))
    image.paste((255, 255, 255), (100, 60, 120, 80))  # in the fifth tile of six
    for tiles in ("network", (48, 64), "48x64"):
        found = detector.predict(image, tiles=tiles, tile_overlap=0)[0].boxes
        places = {(one.label, one.box) for one in found}
        assert ("dog", (72, 60, 104, 84)) in places
        assert ("cat", (108, 62, 124, 82)) in places
    [dog] = [one for one in found if one.box == (72, 60, 104, 84)]
    assert dog.keypoints == ((72, 60, 0.5), (104, 84, 0.5))
    assert dog.mask is not None
    assert dog.mask.pixels().shape == (96, 192)
    assert dog.mask.pixels()[72, 80]
    alone, again = (detector.predict(image, tiles=tiles)[0].boxes for tiles in (None, 500))
    assert [one.box for one in alone] == [one.box for one in again]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"tiles": 0}, "tiles is 0, expected HEIGHTxWIDTH or one number, each 1 to 32768 pixels"),
        ({"tiles": "large"}, "tiles is 'large', expected"),
        ({"tiles": True}, "tiles is True, expected"),
        ({"tiles": 64, "tile_overlap": 1.0}, "tile_overlap is 1.0, expected a number from 0 to 0.9"),
    ],
)
def test_other_tiles_are_refused(detector: Model, given: dict[str, Any], words: str) -> None:
    with pytest.raises(WrongOption, match=words):
        detector.predict(Image.new("RGB", (9, 9)), **given)


def test_a_classifier_has_no_tiles(model: Model) -> None:
    with pytest.raises(WrongOption, match="tiles is for boxes, tiny answers with classification, embedding"):
        model.predict(Image.new("RGB", (9, 9)), tiles=64)
