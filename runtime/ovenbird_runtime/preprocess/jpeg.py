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

from ..errors import ImageTooLarge
from ..limits import MAX_JPEG_SCANS, MAX_JPEG_SEGMENTS
from .pixels import CHANNELS, Picture
from .scratch import Scratch

_COLOURS = ("YCbCr", "Gray", "RGB")  # not CMYK: how its inks become colours is Pillow's to say
_START, _MARKER = b"\xff\xd8\xff", re.compile(rb"\xff[\x01-\xfe]")
_MARKER_IN_A_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # not its restarts, of which there may be millions
_TEMPORARY, _RESTARTS, _END, _SCAN, _APP1 = 0x01, range(0xD0, 0xD8), 0xD9, 0xDA, 0xE1
_DESCRIBING = (_APP1, 0xE2, 0xED, 0xFE)  # EXIF and XMP; profiles and more pictures; Photoshop's; comments
_EXIF_HEAD, _XMP_HEAD = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"


def is_jpeg(data: bytes) -> bool:
    """Return whether a file begins like a JPEG."""
    return data.startswith(_START)


def check_scans(data: bytes, name: str) -> None:
    """Refuse a file of more scans, or of more other segments, than any honest one has. Raises ImageTooLarge."""
    scans = segments = place = 0
    for code, start, end in _segments(data):
        if not scans:
            segments += start - place  # bytes between segments, which Pillow looks at one by one
        place = end
        if code == _SCAN:
            scans += 1
        else:
            segments += 1
        if scans > MAX_JPEG_SCANS or segments > MAX_JPEG_SEGMENTS:
            raise ImageTooLarge(
                f"{name} has more than {MAX_JPEG_SCANS} scans or {MAX_JPEG_SEGMENTS} other segments, "
                "the limits: save it as a plain (baseline) JPEG"
            )


def metadata_of(data: bytes) -> tuple[bytes, bytes]:
    """Return what a JPEG holds of EXIF and XMP before the picture, each empty where
    there is none: the first segment.
    """
    exif = xmp = b""
    for code, start, end in _segments(data):
        if code == _SCAN:
            break
        if code == _APP1 and not exif and data.startswith(_EXIF_HEAD, start + 4):
            exif = data[start + 4 : end]
        elif code == _APP1 and not xmp and data.startswith(_XMP_HEAD, start + 4):
            xmp = data[start + 4 : end]
    return exif, xmp


def without_metadata(data: bytes) -> bytes:
    """Return a JPEG without the segments that describe the picture, and change none of its pixels: EXIF, XMP, colour
    profiles, more pictures, Photoshop's notes, comments. Pillow reads them all, and joins them.
    """
    kept, place = [], 0
    for code, start, end in _segments(data):
        if code == _SCAN:
            break
        if code in _DESCRIBING and end <= len(data):
            kept.append(data[place:start])
            place = end
    return b"".join((*kept, data[place:])) if kept else data


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield each marker's code, its place and where its segment ends, up to the picture's end (ITU-T T.81, B.1.1);
    decoders skip as much.
    """
    place, marker = len(_START) - 1, _MARKER
    while (found := marker.search(data, place)) is not None:
        code, place = data[found.start() + 1], found.end()
        if code not in _RESTARTS and code not in (_TEMPORARY, _END):
            place += max(2, int.from_bytes(data[place : place + 2], "big"))
        yield code, found.start(), place
        if code == _END:
            return
        if code == _SCAN:
            marker = _MARKER_IN_A_SCAN


def decode_jpeg(data: bytes, check: Callable[[int, int], None], scratch: Scratch | None = None) -> Picture | None:
    """Decode a JPEG, as it lies in the file; None where that is left to Pillow.

    `check(width, height)` is called before anything is decoded, and may raise. With `scratch`, the pixels lie there.
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
        buffer = None if scratch is None else scratch.block(height * width * CHANNELS)
        return Picture(decoder.decode_jpeg(data, "RGBA", buffer=buffer))
    except (ValueError, MemoryError):  # any warning of the library's: a file that ends early, bytes that mean nothing
        return None


@lru_cache(maxsize=1)
def _decoder() -> Any:
    """Return the package, or None."""
    try:
        import simplejpeg
    except ImportError:
        return None
    return simplejpeg
