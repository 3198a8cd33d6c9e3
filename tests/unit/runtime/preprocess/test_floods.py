"""Files whose few pixels lie among millions of blocks, each of which costs a decoder time: refused at once.

Without the limits, 10 MB of them take from one to thirty seconds; the tests' own time-out is ten.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ovenbird_runtime.errors import ImageTooLarge
from ovenbird_runtime.preprocess.images import open_image, open_pixels
from support.pictures import encoded, noise
from support.png_files import COLOUR, chunk, png_file

pytestmark = pytest.mark.timeout(60)
BYTES = 10_000_000
SAMPLES = np.zeros((8, 8, 3), np.uint8)
PROFILE = chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(1_000_000), 9))
SMALL_GIF = encoded("GIF", size=(8, 8))


def png(before: bytes = b"", behind: bytes = b"") -> bytes:
    return png_file(SAMPLES, 8, COLOUR, before=before, behind=behind)


def jpeg(before: bytes) -> bytes:
    data = encoded("JPEG")
    return data[:2] + before + data[2:]


def segment(code: int, body: bytes) -> bytes:
    return bytes((0xFF, code)) + struct.pack(">H", len(body) + 2) + body


def behind_colours(data: bytes) -> int:
    return 13 + (3 << ((data[10] & 7) + 1))


def gif(before: bytes) -> bytes:
    place = behind_colours(SMALL_GIF)
    return SMALL_GIF[:place] + before + SMALL_GIF[place:]


FLOODS: dict[str, Callable[[], bytes]] = {
    "png empty text": lambda: png(chunk(b"tEXt", b"a\0") * (BYTES // 14)),
    "png unknown": lambda: png(chunk(b"aaAa", b"") * (BYTES // 12)),
    "png behind the pixels": lambda: png(behind=chunk(b"aaAa", b"") * (BYTES // 12)),
    "png empty data": lambda: png(chunk(b"IDAT", b"") * (BYTES // 12)),
    "png profiles": lambda: png(PROFILE * (BYTES // len(PROFILE))),
    "gif comment in single bytes": lambda: gif(b"\x21\xfe" + b"\x01a" * (BYTES // 2) + b"\0"),
    "gif notes in single bytes": lambda: gif(b"\x21\xff" + b"\x01a" * (BYTES // 2) + b"\0"),
    "gif empty extensions": lambda: gif(b"\x21\xfe\0" * (BYTES // 3)),
    "gif bytes that mean nothing": lambda: gif(bytes(BYTES)),
    "jpeg restarts": lambda: jpeg(b"\xff\xd0" * (BYTES // 2)),
    "jpeg fill bytes": lambda: jpeg(b"\xff" * BYTES),
    "jpeg tables": lambda: jpeg(segment(0xDB, (b"\0" + b"\1" * 64) * 37) * (BYTES // 2409)),
    "jpeg exif in parts": lambda: jpeg(segment(0xE1, b"Exif\0\0" + bytes(2400)) * (BYTES // 2410)),
}


@pytest.mark.parametrize("kind", FLOODS)
def test_floods_are_refused(kind: str) -> None:
    data = FLOODS[kind]()
    assert 0.9 * BYTES < len(data) < 1.1 * BYTES
    for open_it in (open_image, open_pixels):
        with pytest.raises(ImageTooLarge, match=r"the limits?: save it"):
            open_it(data)


def directory(entries: int, size: int) -> bytes:
    """Return an EXIF block of tags that each claim all of it."""
    tags = b"".join(struct.pack("<HHII", (i + 256) % 65536, 7, size - 10, 8) for i in range(entries))
    return (b"II*\0\x08\0\0\0" + struct.pack("<H", entries) + tags).ljust(size, b"\0")


def in_small_pieces(data: bytes) -> bytes:
    """Write a GIF's picture in blocks of one byte each."""
    place = data.index(b"\x2c", behind_colours(data)) + 11
    pieces, rest = b"", data[place:]
    while rest[0]:
        pieces += b"".join(bytes((1, byte)) for byte in rest[1 : 1 + rest[0]])
        rest = rest[1 + rest[0] :]
    return data[:place] + pieces + rest


# Many of something, as an honest encoder may write it
READ: dict[str, Callable[[], bytes]] = {
    "png data in small chunks": lambda: png(chunk(b"IDAT", b"") * 2000),
    "png texts": lambda: png(chunk(b"tEXt", b"a\0b") * 900),
    "png of one profile": lambda: png(PROFILE),
    "png exif of many tags": lambda: png(chunk(b"eXIf", directory(65_535, 2_000_000))),
    "png exif in text": lambda: png(chunk(b"tEXt", b"Raw profile type exif\0\nexif\n 9\n" + b"00\n" * 3_000_000)),
    "gif profile": lambda: gif(b"\x21\xff\x0bICCRGBG1012" + (b"\xff" + bytes(255)) * 8000 + b"\0"),
    "gif in small pieces": lambda: in_small_pieces(encoded("GIF", size=(200, 150))),
    "jpeg profile": lambda: jpeg(b"".join(segment(0xE2, b"ICC_PROFILE\0\1\1" + bytes(60_000)) for _ in range(255))),
    "jpeg restarts in the picture": lambda: _with_restarts(),
    "jpeg notes": lambda: jpeg(segment(0xED, b"Photoshop 3.0\0" + (b"8BIM\4\4" + bytes(6)) * 5000) * 160),
    "jpeg exif of many tags": lambda: jpeg(segment(0xE1, b"Exif\0\0" + directory(5000, 65_000))),
}


def _with_restarts() -> bytes:
    file = io.BytesIO()
    noise(1600, 1200).save(file, "JPEG", restart_marker_blocks=1)
    assert file.getvalue().count(b"\xff\xd0") > 500
    return file.getvalue()


@pytest.mark.parametrize("kind", READ)
def test_what_may_be_many_is_read(kind: str) -> None:
    data = READ[kind]()
    open_pixels(data)
    open_image(data)


def test_a_pillow_image_keeps_its_own_ways(tmp_path: Path) -> None:
    """What the caller opened is the caller's to bound."""
    path = tmp_path / "a.png"
    path.write_bytes(png(chunk(b"aaAa", b"") * 1100))
    with Image.open(path) as image:
        assert open_image(image).size == (8, 8)
    with pytest.raises(ImageTooLarge):
        open_image(path)
