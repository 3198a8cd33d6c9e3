"""Images come out right, whatever their format, or are refused before they are decoded."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ovenbird_runtime import errors, limits
from ovenbird_runtime.preprocess.images import as_list, open_image

WIDTH, HEIGHT = 12, 8


@pytest.fixture(scope="module")
def pixels() -> np.ndarray[Any, Any]:
    """Four flat quarters, so that lossy formats and colour conversions keep them: red, green / blue, grey."""
    array = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    array[:4, :6], array[:4, 6:] = (200, 30, 40), (30, 180, 60)
    array[4:, :6], array[4:, 6:] = (20, 60, 190), (128, 128, 128)
    return array


@pytest.fixture(scope="module")
def picture(pixels: np.ndarray[Any, Any]) -> Image.Image:
    return Image.fromarray(pixels)


def file_of(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def array_of(source: Any) -> np.ndarray[Any, Any]:
    image = open_image(source)
    assert image.mode == "RGB"
    return np.asarray(image)


@pytest.mark.parametrize(
    ("kind", "options", "tolerance"),
    [
        ("PNG", {}, 0),
        ("BMP", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("JPEG", {"quality": 98, "subsampling": 0}, 8),
        ("JPEG", {"quality": 98, "subsampling": 0, "progressive": True}, 8),
        ("GIF", {}, 0),
    ],
)
def test_every_format_is_read(
    picture: Image.Image, pixels: np.ndarray[Any, Any], kind: str, options: dict[str, Any], tolerance: int
) -> None:
    np.testing.assert_allclose(array_of(file_of(picture, kind, **options)).astype(int), pixels, atol=tolerance)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation_is_applied(
    picture: Image.Image, pixels: np.ndarray[Any, Any], orientation: int, kind: str
) -> None:
    turned = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.transpose(1, 0, 2),
        6: pixels.transpose(1, 0, 2)[::-1],
        7: pixels.transpose(1, 0, 2)[::-1, ::-1],
        8: pixels.transpose(1, 0, 2)[:, ::-1],
    }[orientation]  # how a camera stores a scene that it notes as lying so
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, Any] = {"JPEG": {"quality": 98, "subsampling": 0}, "WEBP": {"lossless": True}}.get(kind, {})
    stored = Image.fromarray(np.ascontiguousarray(turned))
    data = file_of(stored, kind, exif=exif, **options)
    np.testing.assert_allclose(array_of(data).astype(int), pixels, atol=8)
    np.testing.assert_allclose(array_of(Image.open(io.BytesIO(data))).astype(int), pixels, atol=8)


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_unknown_orientation_is_none(picture: Image.Image, pixels: np.ndarray[Any, Any], value: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    np.testing.assert_array_equal(array_of(file_of(picture, "PNG", exif=exif)), pixels)


def test_damaged_exif_is_none(picture: Image.Image, pixels: np.ndarray[Any, Any]) -> None:
    data = file_of(picture, "JPEG", quality=98, subsampling=0, exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + b"\xff" * 40)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's word on the block
        np.testing.assert_allclose(array_of(data).astype(int), pixels, atol=8)


def test_grey_becomes_colour(picture: Image.Image) -> None:
    grey = picture.convert("L")
    expected = np.repeat(np.asarray(grey)[:, :, None], 3, axis=2)
    np.testing.assert_array_equal(array_of(file_of(grey, "PNG")), expected)
    np.testing.assert_array_equal(array_of(np.asarray(grey)), expected)


def test_one_bit_becomes_colour() -> None:
    image = Image.fromarray(np.eye(8, dtype=np.uint8) * 255).convert("1")
    np.testing.assert_array_equal(array_of(file_of(image, "PNG"))[:, :, 0], np.eye(8) * 255)


def test_a_palette_is_looked_up(picture: Image.Image, pixels: np.ndarray[Any, Any]) -> None:
    data = file_of(picture.quantize(4), "PNG")
    assert Image.open(io.BytesIO(data)).mode == "P"
    np.testing.assert_allclose(array_of(data).astype(int), pixels, atol=3)


def test_palette_with_a_transparent_colour() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putdata([0, 1])
    np.testing.assert_array_equal(array_of(file_of(image, "PNG", transparency=0)), [[[255, 255, 255], [0, 0, 255]]])


def test_alpha_lies_over_white() -> None:
    image = Image.fromarray(np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 0, 0, 128]]], np.uint8), "RGBA")
    expected = [[[10, 20, 30], [255, 255, 255], [127, 127, 127]]]
    np.testing.assert_array_equal(array_of(file_of(image, "PNG")), expected)
    np.testing.assert_array_equal(array_of(np.asarray(image)), expected)
    grey = Image.fromarray(np.array([[[10, 255], [10, 0]]], np.uint8), "LA")
    np.testing.assert_array_equal(array_of(file_of(grey, "PNG")), [[[10] * 3, [255] * 3]])


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_transparent_colour_without_a_channel(mode: str) -> None:
    image = Image.new(mode, (2, 1))
    colours: list[Any] = [7, 9] if mode == "L" else [(7, 7, 7), (9, 9, 9)]
    image.putdata(colours)
    np.testing.assert_array_equal(array_of(file_of(image, "PNG", transparency=colours[0])), [[[255] * 3, [9] * 3]])


def test_cmyk_becomes_rgb(picture: Image.Image, pixels: np.ndarray[Any, Any]) -> None:
    data = file_of(picture.convert("CMYK"), "JPEG", quality=98, subsampling=0)
    assert Image.open(io.BytesIO(data)).mode == "CMYK"
    np.testing.assert_allclose(array_of(data).astype(int), pixels, atol=10)


def test_sixteen_bits_are_rounded_to_eight() -> None:
    values = np.array([[0, 128, 129, 257, 32768, 65535]], np.uint16)
    expected = [[[v] * 3 for v in (0, 0, 1, 1, 128, 255)]]
    np.testing.assert_array_equal(array_of(file_of(Image.fromarray(values), "PNG")), expected)
    np.testing.assert_array_equal(array_of(values), expected)
    np.testing.assert_array_equal(array_of(values.astype(">u2")), expected)
    np.testing.assert_array_equal(array_of(np.repeat(values[:, :, None], 3, axis=2)), expected)


def test_first_frame_of_an_animation(picture: Image.Image, pixels: np.ndarray[Any, Any]) -> None:
    data = file_of(picture, "GIF", save_all=True, append_images=[Image.new("RGB", picture.size)])
    np.testing.assert_array_equal(array_of(data), pixels)


def test_the_caller_s_image_is_left_alone(picture: Image.Image, pixels: np.ndarray[Any, Any]) -> None:
    given = picture.copy()
    result = open_image(given)
    result.paste((0, 0, 0), (0, 0, 5, 5))
    np.testing.assert_array_equal(np.asarray(given), pixels)


def test_sources_agree(picture: Image.Image, pixels: np.ndarray[Any, Any], tmp_path: Path) -> None:
    data = file_of(picture, "PNG")
    path = tmp_path / "päth with spaces.png"
    path.write_bytes(data)
    for source in (path, str(path), os.fsencode(path) and data, bytearray(data), memoryview(data), picture, pixels):
        np.testing.assert_array_equal(array_of(source), pixels)


def test_a_strided_array_is_read(pixels: np.ndarray[Any, Any]) -> None:
    np.testing.assert_array_equal(array_of(pixels[::-1, ::2]), pixels[::-1, ::2])


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((4, 4, 3), np.float32), "pixels are uint8 or uint16"),
        (np.zeros((4, 4, 3), np.int64), "pixels are uint8 or uint16"),
        (np.zeros((4, 4), object), "pixels are uint8 or uint16"),
        (np.zeros((3, 4, 4), np.uint8)[:, :, :2], r"expected \(height, width\)"),
        (np.zeros((), np.uint8), "expected"),
        (np.zeros((0, 4, 3), np.uint8), "has no pixels"),
        (np.zeros((4, 0), np.uint8), "has no pixels"),
        (None, "cannot be a NoneType"),
        (3, "cannot be a int"),
    ],
)
def test_an_array_that_is_no_picture_is_refused(array: Any, words: str) -> None:
    with pytest.raises(errors.ImageUnreadable, match=words):
        open_image(array)


def test_floating_point_pixels_are_refused() -> None:
    with pytest.raises(errors.ImageUnreadable, match="whose range is unknown"):
        open_image(Image.new("F", (2, 2)))


@pytest.mark.parametrize("data", [b"", b"\0", b"not an image", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF1234WEBP"])
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(errors.ImageUnreadable):
        open_image(data)


def test_format_that_is_not_allowed(picture: Image.Image) -> None:
    for kind in ("TIFF", "PPM", "ICO", "TGA"):
        with pytest.raises(errors.ImageUnreadable, match="no image in a known format"):
            open_image(file_of(picture, kind))


def test_postscript_never_starts_an_interpreter() -> None:
    with pytest.raises(errors.ImageUnreadable, match="no image in a known format"):
        open_image(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF"])
def test_a_truncated_image_is_refused(kind: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    data = file_of(noise, kind)
    for share in (0.2, 0.5, 0.9):
        with pytest.raises(errors.ImageUnreadable):
            open_image(data[: int(len(data) * share)])


def test_too_many_pixels_by_the_header() -> None:
    header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x4e\x20\0\0\x4e\x20\x08\x02\0\0\0"  # 20000 x 20000
    import zlib

    data = header + zlib.crc32(header[12:]).to_bytes(4, "big") + b"\0\0\0\0IDAT\x35\xaf\x06\x1e"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(errors.ImageTooLarge):
            open_image(data)


def test_a_bomb_is_refused() -> None:
    data = file_of(Image.new("1", (9000, 9000)), "PNG")
    assert len(data) < 50_000
    with pytest.raises(errors.ImageTooLarge, match=r"9000x9000, 81\.0 MP, limit 50\.0 MP \(--max-megapixels\)"):
        open_image(data)
    assert open_image(data, max_megapixels=82).size == (9000, 9000)
    with pytest.raises(errors.ImageTooLarge):
        open_image(np.broadcast_to(np.uint8(0), (60_000, 60_000)))


def test_too_many_bytes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "sparse.png"
    with path.open("wb") as file:
        file.truncate(limits.MAX_IMAGE_FILE_BYTES + 1)
    with pytest.raises(errors.ImageTooLarge, match=r"MB, limit 134\.2 MB"):
        open_image(path)


@pytest.mark.parametrize("path", ["nowhere.jpg", "", "a\0b", "x" * 5000, "/dev/zero", "/", "."])
def test_a_file_that_is_not_there_is_refused(path: str) -> None:
    with pytest.raises(errors.ImageNotFound):
        open_image(path)


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(errors.ImageNotFound, match="not a plain file"):
        open_image(tmp_path / "pipe")


def test_one_image_and_many_become_a_list(picture: Image.Image, pixels: np.ndarray[Any, Any]) -> None:
    assert as_list("a.jpg") == ["a.jpg"]
    assert as_list(("a.jpg", b"")) == ["a.jpg", b""]
    assert as_list(b"abc") == [b"abc"]
    assert as_list(picture) == [picture]
    assert len(as_list(pixels)) == 1
    assert len(as_list(np.stack([pixels] * 3))) == 3
    with pytest.raises(errors.ImageUnreadable, match="no image was given"):
        as_list([])
