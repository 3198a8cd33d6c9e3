"""Masks: torchvision's arithmetic pixel by pixel, and COCO's run lengths."""

from __future__ import annotations

import numpy as np
import pytest

from ovenbird_runtime.errors import ImageTooLarge
from ovenbird_runtime.manifest.answers import Boxes
from ovenbird_runtime.postprocess.boxes import Box
from ovenbird_runtime.postprocess.masks import Mask, encode_runs
from ovenbird_runtime.postprocess.table import KINDS

RANDOM = np.random.default_rng(0).random((28, 28), np.float32)
PLACES = [
    (10.0, 5.0, 50.0, 30.0),
    (-20.5, -7.3, 30.2, 20.9),
    (60.0, 40.0, 140.0, 95.0),
    (33.3, 21.7, 34.1, 22.2),
    (-1e30, -1e30, 1e30, 1e30),
    (300.0, 300.0, 400.0, 400.0),
    (0.0, 0.0, 80.0, 60.0),
]
WIDTH, HEIGHT = 80, 60


def pasted(mask: Mask) -> np.ndarray:
    """Do what `paste_mask_in_image` of torchvision does, with torch's own resize."""
    torch = pytest.importorskip("torch", exc_type=ImportError)
    side = mask.grid.shape[0]
    grid = np.pad(mask.grid, 1)
    left, top, right, bottom = mask.box
    across, down = (right - left) * 0.5 * (side + 2) / side, (bottom - top) * 0.5 * (side + 2) / side
    x, y = (left + right) * 0.5, (top + bottom) * 0.5
    x0, y0, x1, y1 = (int(edge) for edge in (x - across, y - down, x + across, y + down))
    size = (max(y1 - y0 + 1, 1), max(x1 - x0 + 1, 1))
    resized = torch.nn.functional.interpolate(torch.from_numpy(grid)[None, None], size=size, mode="bilinear")[
        0, 0
    ].numpy()
    result = np.zeros((HEIGHT, WIDTH), bool)
    rows, columns = slice(max(y0, 0), min(y1 + 1, HEIGHT)), slice(max(x0, 0), min(x1 + 1, WIDTH))
    result[rows, columns] = resized[rows.start - y0 : rows.stop - y0, columns.start - x0 : columns.stop - x0] > 0.5
    return result


@pytest.mark.parametrize("box", PLACES[:4], ids=str)
def test_masks_are_pasted_as_torchvision_does(box: tuple[float, ...]) -> None:
    mask = Mask(RANDOM, box, (WIDTH, HEIGHT))
    np.testing.assert_array_equal(mask.pixels(), pasted(mask))


def decoded(found: dict[str, object]) -> np.ndarray:
    """Read COCO's compressed run lengths, after `rleFrString`."""
    runs: list[int] = []
    text, place = str(found["counts"]), 0
    while place < len(text):
        value, shift, more = 0, 0, True
        while more:
            bits = ord(text[place]) - 48
            value |= (bits & 0x1F) << (5 * shift)
            more, place, shift = bool(bits & 0x20), place + 1, shift + 1
            if not more and bits & 0x10:
                value |= -1 << (5 * shift)
        runs.append(value + runs[-2] if len(runs) > 2 else value)
    assert all(runs[1:]), "pycocotools writes no empty run but the first"
    height, width = found["size"]  # type: ignore[misc]
    values = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return values.reshape(width, height).T


@pytest.mark.parametrize(
    "grid", [RANDOM, np.ones((7, 7), np.float32), np.zeros((1, 1), np.float32)], ids=["noise", "full", "none"]
)
@pytest.mark.parametrize("box", PLACES, ids=str)
def test_run_lengths_are_the_pixels(box: tuple[float, ...], grid: np.ndarray) -> None:
    mask = Mask(grid, box, (WIDTH, HEIGHT))
    np.testing.assert_array_equal(decoded(mask.rle()), mask.pixels())


def test_run_lengths_are_written_as_pycocotools_does() -> None:
    assert encode_runs([6, 1, 40, 4, 5, 4, 5, 4, 21]) == "61X13mN000`0"  # the example of its own documentation


def test_masks_that_would_take_long_are_refused_in_json() -> None:
    sides = (0.0, 0.0, 5000.0, 5000.0)
    mask = Mask(np.ones((2, 2), np.float32), sides, (5000, 5000))
    assert mask.covered == 25_000_000
    with pytest.raises(ImageTooLarge, match="the masks of 9 boxes cover 225 MP, limit 200 MP: ask for fewer boxes"):
        KINDS[Boxes].to_json((Box("x", 0, 0.5, sides, mask),) * 9)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_hostile_grids_are_masks(value: float) -> None:
    mask = Mask(np.full((3, 3), value, np.float32), (10.0, 10.0, 20.0, 20.0), (WIDTH, HEIGHT))
    assert mask.pixels().any() == (value > 0)
