"""PNG files: refused where they are a flood of chunks, and what Pillow does not read of them read.

    if is_png(data):
        check_chunks(data, "photo.png")              # raises ImageTooLarge
    image.info["transparency"] = ...                 # see `transparent_colour`
    flat = wide_rgb(image, again)                    # 16 bits a channel, for `is_wide(image)`

Pillow takes microseconds for a chunk, and 10 MB hold 800,000; it unpacks each colour profile, and 10 MB hold 10,000 of
a megabyte. Of 16 bits a channel it gives the first 8 where there is more than one channel, and of a transparent colour
the number in the file, whatever the pixels' depth (W3C, Portable Network Graphics, 11.3.2.1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ImageTooLarge
from ..limits import MAX_PNG_CHUNKS, MAX_PNG_DATA_CHUNKS
from ..tensors.arrays import Array
from .transparency import BACKGROUND, flat_rgb

if TYPE_CHECKING:
    from PIL.Image import Image

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_DATA, _PROFILE, _END = (b"IDAT", b"fdAT"), b"iCCP", b"IEND"
_AROUND_BYTES = 12  # of a chunk: length, name, checksum
# How Pillow reads the first byte of each value -> how it reads the second one; grey with alpha has no name for that,
# so all four bytes are read as a pixel's
_SECOND_BYTES = {"RGB;16B": "RGB;16L", "RGBA;16B": "RGBA;16L", "LA;16B": "RGBA"}
# How Pillow reads values of less or more than 8 bits -> the bits of a value and the step between two, in pixels
_DEPTHS = {"L;2": (2, 85), "L;4": (4, 17), "L": (8, 1), "RGB": (8, 1)}
_BAND_ROWS = 64


def is_png(data: bytes) -> bool:
    """Return whether a file begins like a PNG."""
    return data.startswith(_SIGNATURE)


def check_chunks(data: bytes, name: str) -> None:
    """Refuse a file of more chunks than any honest one has. Raises ImageTooLarge."""
    place = len(_SIGNATURE)
    found = others = profiles = 0
    while len(kind := data[place + 4 : place + 8]) == 4 and kind != _END:
        if kind in _DATA:
            found += 1
        else:
            others += 1
            profiles += kind == _PROFILE
        if found > MAX_PNG_DATA_CHUNKS or others > MAX_PNG_CHUNKS or profiles > 1:
            raise ImageTooLarge(
                f"{name} has more than {MAX_PNG_DATA_CHUNKS} chunks of data, {MAX_PNG_CHUNKS} others or one colour "
                "profile, the limits: save it again as a plain PNG"
            )
        place += _AROUND_BYTES + int.from_bytes(data[place : place + 4], "big")


def _raw_mode(image: Image) -> str:
    """Return how Pillow is about to read the pixels, for instance "RGB;16B"; empty once it has."""
    if image.format != "PNG" or not getattr(image, "tile", None):
        return ""
    arguments = image.tile[0][3]  # type: ignore[attr-defined]
    return str(arguments if isinstance(arguments, str) else arguments[0])


def transparent_colour(image: Image) -> Any:
    """Return `info["transparency"]` of an image that was not loaded yet as a value of its pixels."""
    value, raw = image.info.get("transparency"), _raw_mode(image)
    if raw == "RGB;16B" and isinstance(value, tuple):
        return tuple(part >> 8 for part in value)  # as much as Pillow gives of the pixels
    if raw not in _DEPTHS or not isinstance(value, (int, tuple)):
        return value
    bits, step = _DEPTHS[raw]
    parts = tuple((part & ((1 << bits) - 1)) * step for part in (value if isinstance(value, tuple) else (value,)))
    return parts if isinstance(value, tuple) else parts[0]


def is_wide(image: Image) -> bool:
    """Return whether the pixels have several channels of 16 bits; asked before the image is loaded."""
    return _raw_mode(image) in _SECOND_BYTES


def wide_rgb(image: Image, again: Image) -> Image:
    """Return the pixels of 16 bits a channel as RGB, transparent ones over white; `again`
    is the same file, opened anew.

    Both are loaded here, and must not have been.
    """
    raw, nothing = _raw_mode(image), image.info.pop("transparency", None)
    again.info.pop("transparency", None)
    again.tile = [(*tile[:3], _SECOND_BYTES[raw]) for tile in again.tile]  # type: ignore[attr-defined]
    image.load()
    again.load()
    image.info.pop("transparency", None)
    for top in range(0, image.height, _BAND_ROWS):
        box = (0, top, image.width, min(top + _BAND_ROWS, image.height))
        image.paste(_band(image.crop(box), again.crop(box), raw, nothing), box)
    return flat_rgb(image, "the image", owned=True)


def _band(first: Image, second: Image, raw: str, nothing: Any) -> Image:
    from PIL import Image as pil

    high, low = np.asarray(first), np.asarray(second)
    if raw == "LA;16B":  # the four bytes of grey and alpha
        high, low = low[:, :, [0, 0, 0, 2]], low[:, :, [1, 1, 1, 3]]
    values = _rounded(high, low)
    if isinstance(nothing, tuple):
        values[(high == [part >> 8 for part in nothing]).all(2) & (low == [part & 255 for part in nothing]).all(2)] = (
            BACKGROUND
        )
    return pil.fromarray(values)


def _rounded(high: Array, low: Array) -> Array:
    """Return (256 * high + low) / 257, rounded: high + (low - high) / 257, whose second part is less than one."""
    difference = low.astype(np.int16) - high
    result: Array = high + (difference > 128) - (difference < -128).astype(np.uint8)
    return result
