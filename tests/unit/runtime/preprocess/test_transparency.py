"""Every way in which a file says what is transparent, against the specifications: the same pixels, laid over white."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ovenbird_runtime.preprocess.images import open_image, open_pixels
from ovenbird_runtime.preprocess.pixels import Picture
from support.png_files import (
    COLOUR,
    COLOUR_ALPHA,
    GREY,
    GREY_ALPHA,
    PALETTE,
    Samples,
    chunk,
    over_white,
    png_file,
    to_8_bits,
)

HEIGHT, WIDTH = 67, 13  # more rows than a band, and no multiple of Adam7's eight


def opened(source: Any) -> Samples:
    image = open_image(source)
    assert image.mode == "RGB"
    again = open_pixels(source)
    pixels = np.asarray(image)
    np.testing.assert_array_equal(np.asarray(again.to_image() if isinstance(again, Picture) else again), pixels)
    return pixels


def given(data: bytes, loaded: bool) -> Samples:
    """Open a file as a caller's own image, whose pixels Pillow has decoded already, or not yet."""
    image = Image.open(io.BytesIO(data))
    if loaded:
        image.load()
    before = dict(image.info)
    pixels = np.asarray(open_image(image))
    assert image.info.get("transparency") == before.get("transparency")
    return pixels


def samples_of(depth: int, channels: int) -> Samples:
    rng = np.random.default_rng(depth * 10 + channels)
    values = rng.integers(0, 1 << depth, (HEIGHT, WIDTH, channels))
    if depth == 16:  # the middle of two steps of 257, where cutting off and rounding differ
        values[:, 0] = values[:, 0] // 257 * 257 + 128
        values[:, 1] = values[:, 0] + 1
        values[:4, 2] = np.array([0, 255, 256, 65535])[:, None]
    return values


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("keyed", [False, True])
@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_a_grey_png_is_laid_on_white(depth: int, keyed: bool, interlaced: bool) -> None:
    samples = samples_of(depth, 1)
    colour = int(samples[5, 5, 0])
    samples[6, 6] = colour ^ 1  # the next to it is another colour
    data = png_file(samples, depth, GREY, interlaced, transparent=struct.pack(">H", colour) if keyed else None)
    grey = np.repeat(to_8_bits(samples, depth), 3, axis=2)
    expected = over_white(grey, np.where(keyed & (samples[:, :, 0] == colour), 0, 255))
    np.testing.assert_array_equal(opened(data), expected)
    np.testing.assert_array_equal(given(data, loaded=False), expected)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("keyed", [False, True])
@pytest.mark.parametrize("depth", [8, 16])
def test_a_coloured_png_is_laid_on_white(depth: int, keyed: bool, interlaced: bool) -> None:
    samples = samples_of(depth, 3)
    colour = samples[5, 5].copy()
    samples[6, 6] = colour ^ [0, 0, 1]
    key = struct.pack(">HHH", *map(int, colour)) if keyed else None
    data = png_file(samples, depth, COLOUR, interlaced, transparent=key)
    alpha = np.where(keyed & (samples == colour).all(axis=2), 0, 255)
    expected = over_white(to_8_bits(samples, depth), alpha)
    np.testing.assert_array_equal(opened(data), expected)
    if depth == 8:
        np.testing.assert_array_equal(given(data, loaded=False), expected)
        np.testing.assert_array_equal(given(data, loaded=True), expected)
    else:  # Pillow decodes a caller's image to the upper 8 bits
        np.testing.assert_allclose(given(data, loaded=False)[7:].astype(int), expected[7:], atol=1)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("colour_type", [GREY_ALPHA, COLOUR_ALPHA])
def test_a_png_with_alpha_is_laid_on_white(colour_type: int, depth: int, interlaced: bool) -> None:
    samples = samples_of(depth, 2 if colour_type == GREY_ALPHA else 4)
    samples[10, :, -1], samples[11, :, -1] = 0, (1 << depth) - 1
    narrow = to_8_bits(samples, depth)
    colours = np.repeat(narrow[:, :, :1], 3, axis=2) if colour_type == GREY_ALPHA else narrow[:, :, :3]
    expected = over_white(colours, narrow[:, :, -1])
    np.testing.assert_array_equal(opened(png_file(samples, depth, colour_type, interlaced)), expected)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("alphas", [None, [0], [255, 0], [255, 0, 255], [128, 7], [0, 0, 0], [1, 2, 3, 4]], ids=str)
@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_a_palette_png_is_laid_on_white(depth: int, alphas: list[int] | None, interlaced: bool) -> None:
    count = min(1 << depth, 200)
    rng = np.random.default_rng(depth)
    colours = rng.integers(0, 256, (count, 3), np.uint8)
    samples = rng.integers(0, count, (HEIGHT, WIDTH, 1))
    table = np.full(count, 255)
    if alphas is not None:
        alphas = alphas[:count]
        table[: len(alphas)] = alphas
    data = png_file(samples, depth, PALETTE, interlaced, colours.tobytes(), None if alphas is None else bytes(alphas))
    expected = over_white(colours[samples[:, :, 0]], table[samples[:, :, 0]])
    np.testing.assert_array_equal(opened(data), expected)
    np.testing.assert_array_equal(given(data, loaded=True), expected)


@pytest.mark.parametrize(("depth", "colour_type", "key"), [(8, GREY, 0x1207), (2, GREY, 0xFF02)])
def test_only_the_lowest_bits_of_a_transparent_colour_count(depth: int, colour_type: int, key: int) -> None:
    samples = np.array([[[0], [1], [2 % (1 << depth)], [7 % (1 << depth)]]])
    alpha = np.where(samples[:, :, 0] == key % (1 << depth), 0, 255)
    assert 0 in alpha
    data = png_file(samples, depth, colour_type, transparent=struct.pack(">H", key))
    np.testing.assert_array_equal(opened(data), over_white(np.repeat(to_8_bits(samples, depth), 3, axis=2), alpha))


@pytest.mark.parametrize("depth", [8, 16])
def test_transparency_behind_the_pixels_does_not_count(depth: int) -> None:
    samples = samples_of(depth, 3)
    late = chunk(b"tRNS", struct.pack(">HHH", *map(int, samples[5, 5])))
    np.testing.assert_array_equal(opened(png_file(samples, depth, COLOUR, behind=late)), to_8_bits(samples, depth))


def file_of(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def test_a_webp_with_alpha_is_laid_on_white() -> None:
    samples = samples_of(8, 4).astype(np.uint8)
    data = file_of(Image.fromarray(samples), "WEBP", lossless=True, exact=True)
    np.testing.assert_array_equal(opened(data), over_white(samples[:, :, :3], samples[:, :, 3]))


def test_gif_with_a_transparent_colour() -> None:
    colours = np.array([[255, 0, 0], [0, 0, 255], [9, 9, 9], [40, 50, 60]], np.uint8)
    indices = np.random.default_rng(0).integers(0, 4, (HEIGHT, WIDTH), np.uint8)
    image = Image.fromarray(indices, "P")
    image.putpalette(colours.tobytes())
    data = file_of(image, "GIF", transparency=2)
    np.testing.assert_array_equal(opened(data), over_white(colours[indices], np.where(indices == 2, 0, 255)))


def test_a_bmp_with_alpha_is_laid_on_white() -> None:
    samples = samples_of(8, 4).astype(np.uint8)
    data = file_of(Image.fromarray(samples), "BMP")
    if Image.open(io.BytesIO(data)).mode == "RGBA":
        np.testing.assert_array_equal(opened(data), over_white(samples[:, :, :3], samples[:, :, 3]))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "RGBa", "La", "palette of four channels"])
def test_a_caller_s_modes(mode: str) -> None:
    samples = samples_of(8, 4).astype(np.uint8)
    grey = mode in ("LA", "La")
    if mode == "palette of four channels":
        image = Image.fromarray(samples[:, :, 0] % 4, "P")
        colours = np.array([[255, 0, 0, 0], [0, 0, 255, 128], [9, 9, 9, 255], [40, 50, 60, 1]], np.uint8)
        image.putpalette(colours.tobytes(), "RGBA")
        pixels = colours[samples[:, :, 0] % 4]
    elif mode == "PA":
        image = Image.fromarray(samples[:, :, 0] % 4, "P")
        colours = np.array([[255, 0, 0], [0, 0, 255], [9, 9, 9], [40, 50, 60]], np.uint8)
        image.putpalette(colours.tobytes())
        image = image.convert("PA")
        image.putalpha(Image.fromarray(samples[:, :, 3]))
        pixels = np.dstack([colours[samples[:, :, 0] % 4], samples[:, :, 3]])
    else:
        pixels = np.dstack([samples[:, :, :1]] * 3 + [samples[:, :, 3:]]) if grey else samples
        image = Image.fromarray(samples[:, :, [0, 3]] if grey else samples, "LA" if grey else "RGBA").convert(mode)
    expected = over_white(pixels[:, :, :3], pixels[:, :, 3])
    tolerance = 1 if mode in ("RGBa", "La") else 0  # colours were multiplied by alpha, to 8 bits
    np.testing.assert_allclose(np.asarray(open_image(image)).astype(int), expected, atol=tolerance)
