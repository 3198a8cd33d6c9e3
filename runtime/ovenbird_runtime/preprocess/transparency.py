"""Transparent pixels laid over white, in whichever way an image says which they are.

    flat = flat_rgb(image, "photo.png", owned=True)       # "RGB", 8 bits a channel

There are four ways: an alpha channel, a palette with alpha, alpha with a palette (`info["transparency"]`: an index,
or a byte for each colour), and a colour that stands for nothing (PNG's tRNS, 11.3.2.1 of its specification).
16 bits a channel become 8 by rounding value / 257; a transparent colour is compared before that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import ImageUnreadable
from ..tensors.arrays import Array

if TYPE_CHECKING:
    from PIL.Image import Image

BACKGROUND = (255, 255, 255)


def flat_rgb(image: Image, name: str, owned: bool) -> Image:
    """Convert any mode to RGB; return a new image, or the very one where it is `owned`: nobody else has it.

    Raises ImageUnreadable for pixels without a known range.
    """
    from PIL import Image as pil

    if image.mode.startswith("I"):  # "I;16" and its byte orders; "I" is how older Pillow opens a 16-bit PNG
        return _flat_grey(image)
    if image.mode == "F":
        raise ImageUnreadable(f"{name} has floating-point pixels, whose range is unknown: convert it to 8 bits first")
    if image.has_transparency_data:
        if image.mode == "La":
            image = image.convert("LA")
        layer = image.convert("RGBA")
        flat = pil.new("RGB", layer.size, BACKGROUND)
        flat.paste(layer, mask=layer.getchannel("A"))
        return flat
    if image.mode != "RGB":
        return image.convert("RGB")
    return image if owned else image.copy()


def _flat_grey(image: Image) -> Image:
    from PIL import Image as pil

    values = np.asarray(image)
    grey = to_8_bits(values)
    nothing = image.info.get("transparency")
    if isinstance(nothing, int):
        grey[values == nothing] = BACKGROUND[0]
    return pil.fromarray(grey).convert("RGB")


def to_8_bits(array: Array) -> Array:
    """Return 16-bit values as uint8, rounded: 0 -> 0, 65535 -> 255."""
    wide = np.clip(array, 0, 65535).astype(np.uint32)
    result: Array = ((wide + 128) // 257).astype(np.uint8)
    return result
