"""JPEG files decoded without Pillow have Pillow's pixels; what that decoder does not know goes to Pillow."""

from __future__ import annotations

import io
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ovenbird_runtime.errors import ImageTooLarge, OvenbirdError
from ovenbird_runtime.limits import MAX_SCRATCH_BYTES
from ovenbird_runtime.preprocess import jpeg
from ovenbird_runtime.preprocess.images import open_image, open_pixels
from ovenbird_runtime.preprocess.pixels import Picture
from ovenbird_runtime.preprocess.scratch import Scratch
from support.pictures import noise

pytest.importorskip("simplejpeg", reason="simplejpeg is not installed (extra jpeg)")


def jpeg_of(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def pixels_of(image: Image.Image | Picture) -> np.ndarray[Any, Any]:
    return np.asarray(image.to_image() if isinstance(image, Picture) else image)


def check(source: Any, without_pillow: bool) -> None:
    given = open_pixels(source)
    assert isinstance(given, Picture) is without_pillow
    expected = open_image(source)
    assert given.size == expected.size
    np.testing.assert_array_equal(pixels_of(given), np.asarray(expected))


PLAIN: list[dict[str, Any]] = [
    {"subsampling": "4:4:4"},
    {"subsampling": "4:2:2"},
    {"subsampling": "4:2:0"},
    {"progressive": True},
    {"quality": 5, "optimize": True},
    {"restart_marker_blocks": 3},
    {"keep_rgb": True},
    {"comment": b"\xff\xe1 no segment"},
    {"dpi": (300, 300)},
]


@pytest.mark.parametrize("size", [(97, 61), (1, 1), (8, 500)], ids=str)
@pytest.mark.parametrize("options", PLAIN, ids=str)
def test_pixels_are_pillow_s(options: dict[str, Any], size: tuple[int, int]) -> None:
    check(jpeg_of(noise(*size), **options), without_pillow=True)


def test_grey_becomes_rgb() -> None:
    check(jpeg_of(noise(97, 61).convert("L")), without_pillow=True)


@pytest.mark.parametrize("orientation", range(10))
def test_only_what_lies_on_a_side_is_left_to_pillow(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    check(jpeg_of(noise(40, 24), exif=exif), without_pillow=not 2 <= orientation <= 8)


def test_an_orientation_in_xmp() -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    check(jpeg_of(noise(40, 24), xmp=xmp), without_pillow=False)
    assert open_pixels(jpeg_of(noise(40, 24), xmp=xmp)).size == (24, 40)


def test_inks_are_left_to_pillow() -> None:
    check(jpeg_of(noise(40, 24).convert("CMYK")), without_pillow=False)


def adobe_transform(data: bytes, value: int) -> bytes:
    """Say in Adobe's marker how the four planes are meant: 0 as they are, 2 as luminance, colours and black."""
    place = data.index(b"Adobe") + 11
    return data[:place] + bytes((value,)) + data[place + 1 :]


@pytest.mark.parametrize("transform", [0, 2])
def test_inks_are_laid_as_adobe_means_them(transform: int) -> None:
    """Adobe's files hold inks inverted (Adobe Technical Note 5116); YCCK turns into RGB as JFIF says."""
    planes = np.zeros((16, 16, 4), np.uint8)
    planes[:8, :8], planes[:8, 8:] = (200, 100, 150, 220), (90, 128, 128, 255)
    planes[8:, :8], planes[8:, 8:] = (120, 140, 60, 200), (250, 130, 120, 90)
    inks = Image.frombytes("CMYK", (16, 16), (255 - planes).tobytes())  # Pillow inverts what it writes
    data = adobe_transform(jpeg_of(inks, quality=100, subsampling=0), transform)
    stored = planes.astype(float)
    if transform == 2:
        y, blue, red = stored[:, :, 0], stored[:, :, 1] - 128, stored[:, :, 2] - 128
        rgb = np.dstack([y + 1.402 * red, y - 0.344136 * blue - 0.714136 * red, y + 1.772 * blue])
        stored = np.dstack([255 - np.clip(rgb, 0, 255), stored[:, :, 3]])
    expected = stored[:, :, :3] * stored[:, :, 3:] / 255
    np.testing.assert_allclose(pixels_of(open_pixels(data)).astype(float), expected, atol=4)


def test_a_colour_profile_is_not_applied() -> None:
    plain = pixels_of(open_pixels(jpeg_of(noise(40, 24))))
    for profile in (bytes(300), b"\0" * 70_000):
        np.testing.assert_array_equal(pixels_of(open_image(jpeg_of(noise(40, 24), icc_profile=profile))), plain)


def test_every_source_of_a_jpeg_is_decoded(tmp_path: Path) -> None:
    data = jpeg_of(noise(40, 24))
    (tmp_path / "a.jpg").write_bytes(data)
    check(tmp_path / "a.jpg", without_pillow=True)
    check(memoryview(data), without_pillow=True)
    check(bytearray(data), without_pillow=True)
    check(noise(40, 24), without_pillow=False)
    check(np.asarray(noise(40, 24)), without_pillow=False)


def test_without_the_package_pillow_decodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jpeg, "_decoder", lambda: None)
    check(jpeg_of(noise(40, 24)), without_pillow=False)


def test_the_size_is_checked_before_anything_is_decoded() -> None:
    data = bytearray(jpeg_of(noise(16, 16)))
    start = data.index(b"\xff\xc0")
    data[start + 5 : start + 9] = (20000).to_bytes(2, "big") * 2
    with pytest.raises(ImageTooLarge, match=r"20000x20000, 400\.0 MP, limit 25\.0 MP"):
        open_pixels(bytes(data), 25)


@pytest.mark.timeout(60)
def test_scans_without_end_are_refused() -> None:
    data = jpeg_of(Image.new("RGB", (5000, 5000), (90, 120, 10)), progressive=True)
    last, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    bomb = data[:end] + data[last:end] * 200_000 + data[end:]  # 8 MB: half an hour
    for open_it in (open_image, open_pixels):
        with pytest.raises(ImageTooLarge, match=r"more than 100 scans .* save it as a plain \(baseline\) JPEG"):
            open_it(bomb)


def test_segments_without_end_are_refused() -> None:
    data = jpeg_of(noise(16, 16))
    with pytest.raises(ImageTooLarge, match="1024 other segments"):
        open_image(data[:2] + b"\xff\xfe\x00\x02" * 5000 + data[2:])


def test_what_only_looks_like_scans() -> None:
    """Bytes within a segment, and a film behind the picture, as telephones write it."""
    data = jpeg_of(noise(300, 200), restart_marker_blocks=1)
    assert data.count(b"\xff\xd0") > 20
    inside = b"\xff\xe2\x10\x00" + b"\xff\xda\x00\x02" * 1023 + b"\x00\x00"
    check(data[:2] + inside + data[2:] + b"\xff\xda" * 1000, without_pillow=True)


def outcome(open_it: Any, data: bytes) -> Any:
    """What comes of a file: its pixels, or the error's words."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's words on metadata
        try:
            return pixels_of(open_it(data, 1.0))
        except OvenbirdError as error:
            return f"{type(error).__name__}: {error}"


FILES = [
    jpeg_of(noise(33, 21), quality=60, **options)
    for options in ({}, {"progressive": True}, {"restart_marker_blocks": 1})
]


@settings(max_examples=600, deadline=None)
@given(
    st.sampled_from(FILES),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=4),
    st.one_of(st.none(), st.floats(0, 1)),
)
def test_damage_is_what_pillow_says_it_is(file: bytes, damage: list[tuple[float, int]], end: float | None) -> None:
    data = bytearray(file)
    for place, value in damage:
        data[int(place * (len(data) - 1))] = value
    if end is not None:
        del data[int(end * len(data)) :]
    given, expected = outcome(open_pixels, bytes(data)), outcome(open_image, bytes(data))
    if isinstance(expected, str):
        assert given == expected
    else:
        np.testing.assert_array_equal(given, expected)


def test_pictures_may_share_memory_one_after_the_other() -> None:
    scratch = Scratch()
    for size in ((40, 24), (30, 20), (64, 48)):  # smaller than before, and larger
        data = jpeg_of(noise(*size))
        np.testing.assert_array_equal(pixels_of(open_pixels(data, 25, scratch)), pixels_of(open_pixels(data, 25)))
    first, second = (open_pixels(data, 25, scratch) for _ in range(2))
    assert isinstance(first, Picture)
    assert isinstance(second, Picture)
    assert np.shares_memory(first.array, second.array)
    other: list[Any] = []
    thread = threading.Thread(target=lambda: other.append(scratch.block(100)))
    thread.start()
    thread.join()
    assert not np.shares_memory(other[0], first.array)
    assert scratch.block(MAX_SCRATCH_BYTES + 1) is None
