"""How a picture lies: whatever of its metadata says so, in every format that has some."""

from __future__ import annotations

import io
import struct
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image

from ovenbird_runtime.preprocess.images import open_image, open_pixels
from ovenbird_runtime.preprocess.orientation import orientation_in
from support.pictures import noise
from support.png_files import chunk

ORIENTATIONS = range(1, 9)


def exif_of(value: int, order: Literal["<", ">"] = "<", kind: str = "H", before: int = 3, head: bytes = b"") -> bytes:
    """Return an EXIF block whose orientation stands behind `before` other tags."""
    code = {"B": 1, "H": 3, "I": 4}[kind]
    tags = b"".join(struct.pack(f"{order}HHII", 0x0100 + i, 3, 1, 6) for i in range(before))
    tags += struct.pack(f"{order}HHI{kind}", 0x0112, code, 1, value).ljust(12, b"\0")
    start = b"II*\0" if order == "<" else b"MM\0*"
    return head + start + struct.pack(f"{order}IH", 8, before + 1) + tags + bytes(4)


@pytest.mark.parametrize("value", ORIENTATIONS)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["B", "H", "I"])
def test_exif_of_either_byte_order_and_any_width(value: int, order: Any, kind: str) -> None:
    for head in (b"", b"Exif\0\0"):
        assert orientation_in(exif_of(value, order, kind, head=head), b"") == value


@pytest.mark.parametrize("xmp", [b'a tiff:Orientation="6" b', b"<tiff:Orientation>6</tiff:Orientation>"])
def test_xmp_where_exif_says_nothing(xmp: bytes) -> None:
    assert orientation_in(b"", xmp) == 6
    assert orientation_in(exif_of(3)[:-18], xmp) == 6
    assert orientation_in(exif_of(3), xmp) == 3
    assert orientation_in(exif_of(1), xmp) == 1


@pytest.mark.parametrize(
    "exif", [b"", b"II", b"Exif\0\0", b"II*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff", b"\xff" * 99]
)
def test_damage_says_nothing(exif: bytes) -> None:
    assert orientation_in(exif, b"") == 1


@pytest.mark.parametrize("cut", range(60))
def test_a_block_cut_anywhere(cut: int) -> None:
    assert orientation_in(exif_of(6)[:cut], b"") in (1, 6)


@pytest.mark.parametrize("value", [0, 9, 255])
def test_other_numbers_say_nothing(value: int) -> None:
    assert orientation_in(exif_of(value), b"") == 1


def turned(image: Image.Image, value: int) -> Image.Image:
    """Turn a picture as a viewer does (EXIF 2.3, 4.6.4 A), by hand."""
    pixels = np.asarray(image)
    rows = pixels.transpose(1, 0, 2) if value >= 5 else pixels
    down = {1: False, 2: False, 3: True, 4: True, 5: False, 6: False, 7: True, 8: True}[value]
    left = {1: False, 2: True, 3: True, 4: False, 5: False, 6: True, 7: True, 8: False}[value]
    rows = rows[::-1] if down else rows
    return Image.fromarray(np.ascontiguousarray(rows[:, ::-1] if left else rows))


def with_metadata(image: Image.Image, kind: str, where: str, value: int) -> bytes:
    file = io.BytesIO()
    xmp = f'<rdf:Description tiff:Orientation="{value}"/>'.encode()
    options: dict[str, Any] = {"exif": exif_of(value, head=b"Exif\0\0")} if where == "exif" else {}
    if where == "xmp" and kind != "PNG":
        options["xmp"] = xmp
    image.save(file, kind, **options | ({"lossless": True} if kind == "WEBP" else {}))
    data = file.getvalue()
    if kind == "PNG" and where != "exif":
        digits = exif_of(value, head=b"Exif\0\0").hex()
        text = {
            "xmp": chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp),
            "text": chunk(b"tEXt", f"Raw profile type exif\0\nexif\n {len(digits) // 2}\n{digits}\n".encode()),
        }[where]
        data = data[:33] + text + data[33:]
    return data


@pytest.mark.parametrize("value", ORIENTATIONS)
@pytest.mark.parametrize(
    ("kind", "where"),
    [
        ("JPEG", "exif"),
        ("JPEG", "xmp"),
        ("PNG", "exif"),
        ("PNG", "xmp"),
        ("PNG", "text"),
        ("WEBP", "exif"),
        ("WEBP", "xmp"),
    ],
)
def test_files_are_turned_as_exif_says(kind: str, where: str, value: int) -> None:
    image = noise(24, 16)
    data = with_metadata(image, kind, where, value)
    plain = np.asarray(open_image(with_metadata(image, kind, "nowhere" if kind != "PNG" else "exif", 1)))
    expected = np.asarray(turned(Image.fromarray(plain), value))
    np.testing.assert_array_equal(np.asarray(open_image(data)), expected)
    if kind != "JPEG" or where == "exif":  # as Pillow decodes it
        np.testing.assert_array_equal(np.asarray(open_image(Image.open(io.BytesIO(data)))), expected)
    given = open_pixels(data)
    np.testing.assert_array_equal(np.asarray(given if isinstance(given, Image.Image) else given.to_image()), expected)


def test_a_caller_s_image_has_the_caller_s_orientation() -> None:
    image = Image.open(io.BytesIO(with_metadata(noise(24, 16), "PNG", "exif", 6)))
    image.getexif()[0x0112] = 1
    assert open_image(image).size == (24, 16)
