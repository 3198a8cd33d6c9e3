"""Lines of text in a band below the photograph: classes and sentences, which have no place in it.

    with_lines(open_image("photo.jpg"), ["tabby 61.2 %", "tiger cat 20.1 %"]).save("annotated.png")

Letters grow with the photograph, long lines are broken between words, and a narrow photograph gets room at its right.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..errors import one_line
from .drawing import BEHIND, letter_pixels

if TYPE_CHECKING:
    from PIL.Image import Image

LEAST_LETTERS_A_LINE = 24
"""A band is at least so wide."""
MAX_LINES = 12
"""More are left out: a text of hundreds of tokens is for a file."""
_INK = (240, 240, 240)


def with_lines(image: Image, lines: Sequence[str]) -> Image:
    """Return a new image, the lines below the photograph; a copy where there are none."""
    from PIL import Image as pil
    from PIL import ImageDraw, ImageFont

    if not lines:
        return image.copy()
    letters = letter_pixels(image.size)
    font, margin, step = ImageFont.load_default(letters), letters // 2, round(letters * 1.35)
    least = round(font.getlength("x" * LEAST_LETTERS_A_LINE)) + 2 * margin
    width = max(image.width, least)
    parts = (part for line in lines for part in _broken(font, one_line(line), width - 2 * margin))
    broken = list(islice(parts, MAX_LINES))
    canvas = pil.new("RGB", (width, image.height + len(broken) * step + 2 * margin), BEHIND)
    canvas.paste(image)
    pen = ImageDraw.Draw(canvas)
    for place, part in enumerate(broken):
        pen.text((margin, image.height + margin + place * step), part, fill=_INK, font=font)
    return canvas


def _broken(font: Any, line: str, width: int) -> Iterator[str]:
    """Yield a line in parts that fit, broken between words, a long word within it."""
    part = ""
    for word in line.split(" "):
        whole = f"{part} {word}" if part else word
        if font.getlength(whole) <= width:
            part = whole
            continue
        if part:
            yield part
        part = word
        while font.getlength(part) > width and len(part) > 1:
            fits = next(n for n in range(1, len(part)) if font.getlength(part[: n + 1]) > width)
            yield part[:fits]
            part = part[fits:]
    if part:
        yield part
