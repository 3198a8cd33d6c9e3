"""JPEG files: refused where they would take an hour, decoded without Pillow where they are plain.

    if is_jpeg(data):
        check_scans(data, "photo.jpg")          # raises ImageTooLarge
        picture = decode_jpeg(data, check)      # None: left to Pillow

A progressive file says its picture again and again, a little better with each scan. A scan of 42 bytes makes a decoder
walk through all blocks of the picture, 10 ms for 25 megapixels, and 10 MB hold 250,000 of them
("Two Issues with the JPEG Standard", The libjpeg-turbo Project).

The package `simplejpeg` decodes, where it is installed (extras `jpeg` and `serve`): libjpeg-turbo with nothing around
it, a third of a millisecond sooner. Pillow uses the same library and settings, so that pixels are equal bit for bit;
what is odd about a file, from unusual colours to a missing last byte, is left to Pillow, so that the same files are
read, and the others refused with the same words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from .errors import ImageTooLarge
from .limits import MAX_JPEG_SCANS, MAX_JPEG_SEGMENTS
from .pixels import Picture

_COLOURS = ("YCbCr", "Gray", "RGB")  # not CMYK: how its inks become colours is Pillow's to say
_START, _MARKER = b"\xff\xd8\xff", re.compile(rb"\xff[\x01-\xfe]")
_TEMPORARY, _RESTARTS, _END, _SCAN, _APP1 = 0x01, range(0xD0, 0xD8), 0xD9, 0xDA, 0xE1


def is_jpeg(data: bytes) -> bool:
    """Whether a file begins like a JPEG."""
    return data.startswith(_START)


def check_scans(data: bytes, name: str) -> None:
    """Refuse a file of more scans, or of more other segments, than any honest one has. Raises ImageTooLarge."""
    scans = segments = 0
    for code in _markers(data):
        if code == _SCAN:
            scans += 1
        elif code not in _RESTARTS:
            segments += 1
        if scans > MAX_JPEG_SCANS or segments > MAX_JPEG_SEGMENTS:
            raise ImageTooLarge(
                f"{name} has more than {MAX_JPEG_SCANS} scans or {MAX_JPEG_SEGMENTS} other segments, "
                "the limits: save it as a plain (baseline) JPEG"
            )


def has_metadata(data: bytes) -> bool:
    """Whether there may be EXIF or XMP in a JPEG, which may say that it must be turned: a segment APP1 before the
    picture.
    """
    for code in _markers(data):
        if code == _SCAN:
            return False
        if code == _APP1:
            return True
    return True


def _markers(data: bytes) -> Iterator[int]:
    """Give the code of each marker, up to the picture's end (ITU-T T.81, B.1.1); decoders skip as much."""
    place = len(_START) - 1
    while (found := _MARKER.search(data, place)) is not None:
        code = data[found.start() + 1]
        yield code
        if code == _END:
            return
        place = found.end()
        if code not in _RESTARTS and code != _TEMPORARY:
            place += max(2, int.from_bytes(data[place : place + 2], "big"))


def decode_jpeg(data: bytes, check: Callable[[int, int], None]) -> Picture | None:
    """Decode a JPEG, as it lies in the file; None where that is left to Pillow.

    `check(width, height)` is called before anything is decoded, and may raise.
    """
    decoder = _decoder()
    if decoder is None:
        return None
    try:
        height, width, colours, _ = decoder.decode_jpeg_header(data)
    except ValueError:
        return None
    check(width, height)
    if colours not in _COLOURS:
        return None
    try:
        return Picture(decoder.decode_jpeg(data, "RGBA"))
    except (ValueError, MemoryError):  # any warning of the library's: a file that ends early, bytes that mean nothing
        return None


@lru_cache(maxsize=1)
def _decoder() -> Any:
    """Give the package, or None."""
    try:
        import simplejpeg
    except ImportError:
        return None
    return simplejpeg
