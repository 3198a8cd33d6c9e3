"""How a picture lies, as its metadata say: the EXIF orientation, or the one in XMP.

    value = orientation_of(image.info)           # 1 to 8; 1 where nothing is said
    upright = turn(image, value)

Read by hand: Pillow reads every tag of an EXIF block, and a hostile one holds 65,535 of them, for one that counts.
A damaged block spoils no pixels, so it counts as none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from ..limits import MAX_EXIF_TEXT_CHARS

if TYPE_CHECKING:
    from PIL.Image import Image

UPRIGHT = 1
ORIENTATION_TAG = 0x0112
_EXIF_HEAD = b"Exif\0\0"
_ORDERS: dict[bytes, Literal["little", "big"]] = {b"II*\0": "little", b"MM\0*": "big"}
_WIDTHS = {1: 1, 3: 2, 4: 4}  # bytes of a BYTE, a SHORT, a LONG (TIFF 6.0, section 2)
_ENTRY_BYTES = 12
_XMP = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')
# EXIF orientation -> the PIL.Image.Transpose that undoes it: 2 mirrored, 3 upside down, 6 and 8 lying on a side, ...
_TRANSPOSES = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}


def turn(image: Image, orientation: int) -> Image:
    """Return the image upright: a new one, or the very one where there is nothing to turn."""
    from PIL.Image import Transpose

    return image.transpose(Transpose(_TRANSPOSES[orientation])) if orientation in _TRANSPOSES else image


def orientation_of(info: Mapping[Any, Any]) -> int:
    """Return the orientation that a file's metadata say, as Pillow's decoders leave them in `Image.info`."""
    exif = info.get("exif") or _hexadecimal(info.get("Raw profile type exif"))
    return orientation_in(_bytes(exif), _bytes(info.get("xmp") or info.get("XML:com.adobe.xmp")))


def orientation_in(exif: bytes, xmp: bytes) -> int:
    """Return the orientation that an EXIF block says, or else an XMP one; 1 where none does, or it is not of 1 to 8."""
    value = _in_exif(exif)
    if value is None:
        found = _XMP.search(xmp)
        value = int(found[1]) if found else UPRIGHT
    return value if value in _TRANSPOSES else UPRIGHT


def _in_exif(block: bytes) -> int | None:
    """Look through the first directory of a TIFF structure; None where it says nothing."""
    block = block.removeprefix(_EXIF_HEAD)
    order = _ORDERS.get(block[:4])
    if order is None:
        return None

    def number(place: int, width: int) -> int:
        return int.from_bytes(block[place : place + width], order)

    start = number(4, 4)
    first, count = start + 2, number(start, 2)
    for entry in range(first, min(first + count * _ENTRY_BYTES, len(block) - _ENTRY_BYTES + 1), _ENTRY_BYTES):
        if number(entry, 2) == ORIENTATION_TAG and (width := _WIDTHS.get(number(entry + 2, 2))):
            return number(entry + 8, width)
    return None


def _hexadecimal(text: Any) -> bytes:
    """Read EXIF as ImageMagick writes it into a PNG: a name, a length, and lines of digits."""
    if not isinstance(text, str) or len(text) > MAX_EXIF_TEXT_CHARS:
        return b""
    try:
        return bytes.fromhex("".join(text.split("\n")[3:]))
    except ValueError:
        return b""


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    return value if isinstance(value, bytes) else b""
