"""Pillow's memory, seen without a copy, and the weights of a resize against Pillow's own pixels."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from PIL import Image

from ovenbird_runtime.preprocess.pixels import shared_pixels
from ovenbird_runtime.preprocess.resampling import PRECISION_BITS, Filter, taps_of
from support.pictures import noise

needs_arrow = pytest.mark.skipif(
    not hasattr(Image.Image, "__arrow_c_array__"), reason="Pillow hands its memory out from 11.3 on"
)


@needs_arrow
@pytest.mark.parametrize("size", [(1, 1), (41, 37), (640, 480)], ids=str)
def test_the_pixels_are_the_image_s(size: tuple[int, int]) -> None:
    for image in (noise(*size), noise(size[0] + 9, size[1] + 5).crop((4, 3, 4 + size[0], 3 + size[1]))):
        view = shared_pixels(image)
        assert view is not None
        assert view.shape == (size[1], size[0] * 4)
        expected = np.asarray(image).copy()
        del image
        gc.collect()
        np.testing.assert_array_equal(view.reshape(size[1], size[0], 4)[:, :, :3], expected)


@needs_arrow
def test_nothing_is_copied() -> None:
    image = noise(50, 40)
    view = shared_pixels(image)
    assert view is not None
    image.paste((1, 2, 3), (0, 0, 50, 40))
    assert view.reshape(-1, 4)[:, :3].tolist() == [[1, 2, 3]] * 2000


def test_other_images_are_left_alone() -> None:
    assert shared_pixels(noise(5, 5).convert("L")) is None
    assert shared_pixels(noise(5, 5).convert("RGBA")) is None
    assert shared_pixels(Image.new("RGB", (2500, 2000))) is None  # in several pieces


def resized(row: np.ndarray, filter_name: Filter, length: int, start: int, count: int) -> np.ndarray:
    """Resize a row of pixels [W, 3] by the taps, and keep a window."""
    taps = taps_of(filter_name, len(row), length, start, count)
    sources = row[taps.starts[:, None] + np.arange(taps.weights.shape[1])].astype(np.int64)
    sums = (sources * taps.weights[:, :, None]).sum(axis=1) + (1 << (PRECISION_BITS - 1))
    return np.clip(sums >> PRECISION_BITS, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("filter_name", ["bilinear", "bicubic"])
@pytest.mark.parametrize("sizes", [(500, 341), (341, 500), (7, 7), (1, 9), (9, 1), (4000, 13), (300, 299)], ids=str)
def test_taps_make_pillow_s_pixels(filter_name: Filter, sizes: tuple[int, int]) -> None:
    image = noise(sizes[0], 1)
    resampling = Image.Resampling[filter_name.upper()]
    whole = np.asarray(image.resize((sizes[1], 1), resampling))[0]
    row = np.asarray(image)[0]
    np.testing.assert_array_equal(resized(row, filter_name, sizes[1], 0, sizes[1]), whole)
    start, count = sizes[1] // 3, -(-sizes[1] // 2)
    taps = taps_of(filter_name, sizes[0], sizes[1], start, count)
    assert taps.first >= 0
    assert taps.first + taps.extent <= sizes[0]
    np.testing.assert_array_equal(resized(row, filter_name, sizes[1], start, count), whole[start : start + count])
