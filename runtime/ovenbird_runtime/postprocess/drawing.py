"""Boxes, labels, masks and keypoints drawn into a copy of the photograph.

    draw(open_image("photo.jpg"), prediction.boxes).save("annotated.png")

Lines and letters grow with the photograph. A small one is enlarged by a whole factor first, and the canvas gets room
for the longest label, so that 1 pixel and 4,000 read alike.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import one_line
from .boxes import Box

if TYPE_CHECKING:
    from PIL.Image import Image

_SMALL_PIXELS = 320
"""Photographs whose longer side has fewer are enlarged."""
_LEAST_LETTERS, _MOST_LETTERS = 12, 64
_LABEL_CHARS = 60
_MASK_SHARE = 0.45
BEHIND = (32, 32, 32)
"""What is around a photograph, and behind text below it."""


def draw(image: Image, boxes: Sequence[Box]) -> Image:
    """Return a new RGB image; `image` is upright, as `preprocess.images.open_image` gives it."""
    from PIL import Image as pil
    from PIL import ImageDraw, ImageFont

    image = image.convert("RGB") if image.mode != "RGB" else image.copy()
    factor = max(1, -(-_SMALL_PIXELS // max(image.size)))
    for box in reversed(boxes):
        _shade(image, box)
    image = image.resize((image.width * factor, image.height * factor), pil.Resampling.NEAREST)
    letters = letter_pixels(image.size)
    line, font = max(2, letters // 7), ImageFont.load_default(letters)
    labels = [one_line(f"{box.label} {box.score:.2f}")[:_LABEL_CHARS] for box in boxes]
    sizes = [_text_size(font, label) for label in labels]
    width, height = max([image.width, *(size[0] for size in sizes)]), max([image.height, *(size[1] for size in sizes)])
    canvas = pil.new("RGB", (width, height), BEHIND)
    canvas.paste(image)
    pen = ImageDraw.Draw(canvas)
    for box in reversed(boxes):  # the best on top, and no line through a label
        colour = colour_of(box.index)
        left, top, right, bottom = (round(side * factor) for side in box.box)
        pen.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=colour, width=line)
        for x, y, _ in box.keypoints or ():
            if abs(x) + abs(y) < 1e6:
                dot = (x * factor - 2 * line, y * factor - 2 * line, x * factor + 2 * line, y * factor + 2 * line)
                pen.ellipse(dot, fill=colour)
    for box, label, size in reversed(list(zip(boxes, labels, sizes, strict=True))):
        colour = colour_of(box.index)
        left, top = (round(side * factor) for side in box.box[:2])
        x, y = min(left, width - size[0]), top - size[1] if top >= size[1] else min(top, height - size[1])
        pen.rectangle((x, y, x + size[0] - 1, y + size[1] - 1), fill=colour)
        pen.text((x + _margin(size), y), label, fill=_ink(colour), font=font)
    return canvas


def letter_pixels(size: tuple[int, int]) -> int:
    """Return how high letters are in a picture of `size`."""
    return min(max(round(min(size) / 28), _LEAST_LETTERS), _MOST_LETTERS)


def colour_of(index: int) -> tuple[int, int, int]:
    """Return a class's colour, far from those of its neighbours."""
    red, green, blue = colorsys.hsv_to_rgb((0.02 + index * 0.618034) % 1.0, 0.75 + 0.2 * (index % 2), 0.95)
    return round(red * 255), round(green * 255), round(blue * 255)


def _shade(image: Image, box: Box) -> None:
    """Lay a box's mask over the image."""
    if box.mask is None:
        return
    from PIL import Image as pil

    left, top, inner = box.mask.part()
    if not inner.size:
        return
    shade = pil.new("RGB", (inner.shape[1], inner.shape[0]), colour_of(box.index))
    image.paste(shade, (left, top), pil.fromarray((inner * round(255 * _MASK_SHARE)).astype("uint8")))


def _margin(size: tuple[int, int]) -> int:
    return size[1] // 6


def _text_size(font: Any, label: str) -> tuple[int, int]:
    """Return the width and height of a label with what is around it."""
    _, _, right, _ = font.getbbox(label)
    bottom = font.getbbox("Ág")[3]
    height = round(bottom * 1.25)
    return round(right) + 2 * (height // 6), height


def _ink(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return black or white, whichever can be read on a colour (ITU-R BT.601 luma)."""
    return (0, 0, 0) if 299 * colour[0] + 587 * colour[1] + 114 * colour[2] > 140_000 else (255, 255, 255)
