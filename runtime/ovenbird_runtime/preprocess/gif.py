"""GIF files: refused where they are a flood of blocks before the picture.

    if is_gif(data):
        check_blocks(data, "photo.gif")              # raises ImageTooLarge

Pillow takes a microsecond for each, and 10 MB hold 5,000,000 (CompuServe, Graphics Interchange Format 89a).
"""

from __future__ import annotations

from ..errors import ImageTooLarge
from ..limits import MAX_GIF_BLOCKS

_SIGNATURES = (b"GIF87a", b"GIF89a")
_HEAD_BYTES = 13
_EXTENSION, _PICTURE, _END = 0x21, 0x2C, 0x3B


def is_gif(data: bytes) -> bool:
    """Return whether a file begins like a GIF."""
    return data.startswith(_SIGNATURES)


def check_blocks(data: bytes, name: str) -> None:
    """Refuse a file of more blocks before its first picture than any honest one has. Raises ImageTooLarge."""
    place = _HEAD_BYTES
    if len(data) > place and data[10] & 0x80:
        place += 3 << ((data[10] & 7) + 1)  # the colours
    inside = False
    for _ in range(MAX_GIF_BLOCKS):
        if place >= len(data):
            return
        code = data[place]
        if inside:  # an extension's blocks: each its length and as many bytes, up to one of length 0
            place += 1 + code
            inside = code != 0
        elif code == _EXTENSION:
            place += 2
            inside = True
        elif code in (_PICTURE, _END):
            return
        else:
            place += 1  # decoders skip what they do not know
    raise ImageTooLarge(
        f"{name} has more than {MAX_GIF_BLOCKS} blocks before its picture, the limit: save it without comments"
    )
