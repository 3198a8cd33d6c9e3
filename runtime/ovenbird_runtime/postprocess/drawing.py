"""Boxes, labels, masks and keypoints drawn into a copy of the photograph.

    draw(image, prediction.boxes).save("annotated.png")
    save_annotated(["a.jpg", "b.jpg"], predictions, Path("annotated"))      # into a folder

Lines and letters grow with the photograph. A small one is enlarged by a whole factor first, and the canvas gets room
for the longest label, so that 1 pixel and 4,000 read alike.
"""

from __future__ import annotations

import colorsys
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import OutputNotWritten, WrongOption, one_line, shown
from ..preprocess.images import open_image
from .boxes import BOXES, Box

if TYPE_CHECKING:
    from PIL.Image import Image

    from .prediction import Prediction

FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP"}
_SMALL_PIXELS = 320
"""Photographs whose longer side has fewer are enlarged."""
_LEAST_LETTERS, _MOST_LETTERS = 12, 64
_LABEL_CHARS = 60
_MASK_SHARE = 0.45
_BEHIND = (32, 32, 32)


def draw(image: Image, boxes: Sequence[Box]) -> Image:
    """Return a new RGB image, upright as the boxes are. `image` is any of Pillow's."""
    from PIL import Image as pil
    from PIL import ImageDraw, ImageFont

    image = open_image(image)
    factor = max(1, -(-_SMALL_PIXELS // max(image.size)))
    for box in reversed(boxes):
        _shade(image, box)
    image = image.resize((image.width * factor, image.height * factor), pil.Resampling.NEAREST)
    letters = min(max(round(min(image.size) / 28), _LEAST_LETTERS), _MOST_LETTERS)
    line, font = max(2, letters // 7), ImageFont.load_default(letters)
    labels = [one_line(f"{box.label} {box.score:.2f}")[:_LABEL_CHARS] for box in boxes]
    sizes = [_text_size(font, label) for label in labels]
    width, height = max([image.width, *(size[0] for size in sizes)]), max([image.height, *(size[1] for size in sizes)])
    canvas = pil.new("RGB", (width, height), _BEHIND)
    canvas.paste(image)
    pen = ImageDraw.Draw(canvas)
    for box, label, size in reversed(list(zip(boxes, labels, sizes, strict=True))):  # the best on top
        colour = colour_of(box.index)
        left, top, right, bottom = (round(side * factor) for side in box.box)
        pen.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=colour, width=line)
        for x, y, _ in box.keypoints or ():
            if abs(x) + abs(y) < 1e6:
                dot = (x * factor - 2 * line, y * factor - 2 * line, x * factor + 2 * line, y * factor + 2 * line)
                pen.ellipse(dot, fill=colour)
        x, y = min(left, width - size[0]), top - size[1] if top >= size[1] else min(top, height - size[1])
        pen.rectangle((x, y, x + size[0] - 1, y + size[1] - 1), fill=colour)
        pen.text((x + _margin(size), y), label, fill=_ink(colour), font=font)
    return canvas


def save_annotated(sources: Sequence[Any], predictions: Sequence[Prediction], path: Path, megapixels: float) -> None:
    """Draw each prediction into a copy of its image: the file `path` for one image, a folder for several.

    Raises WrongOption for predictions without boxes and a `path` that would overwrite an image, OutputNotWritten.
    """
    for prediction in predictions:
        if BOXES.field not in prediction.answers:
            raise WrongOption(f"{prediction.model} answers with no boxes: there is nothing to draw (--save)")
    folder = len(sources) > 1 or path.is_dir()
    targets = _names_in(path, sources) if folder else [path]
    for source, target in zip(sources, targets, strict=True):
        if target.suffix.lower() not in FORMATS:
            raise WrongOption(f"{shown(target.name)} is no picture's name: expected {', '.join(FORMATS)} (--save)")
        if isinstance(source, (str, os.PathLike)) and target.exists() and target.samefile(source):
            raise WrongOption(f"{shown(target.name)} is the image itself: give another name (--save)")
    try:
        if folder:
            path.mkdir(parents=True, exist_ok=True)
        for source, prediction, target in zip(sources, predictions, targets, strict=True):
            drawn = draw(open_image(source, megapixels), prediction.boxes)
            drawn.save(target, FORMATS[target.suffix.lower()], quality=92)
    except OSError as error:
        raise OutputNotWritten(f"{shown(path.name)} cannot be written: {error.strerror or error}") from None


def colour_of(index: int) -> tuple[int, int, int]:
    """Return a class's colour, far from those of its neighbours."""
    red, green, blue = colorsys.hsv_to_rgb((0.02 + index * 0.618034) % 1.0, 0.75 + 0.2 * (index % 2), 0.95)
    return round(red * 255), round(green * 255), round(blue * 255)


def _names_in(folder: Path, sources: Sequence[Any]) -> list[Path]:
    """Return a name for each image, its own where it has one that is not taken yet."""
    names: list[str] = []
    for place, source in enumerate(sources):
        own = Path(os.fsdecode(source)) if isinstance(source, (str, os.PathLike)) else Path(f"{place}.jpg")
        suffix = own.suffix if own.suffix.lower() in FORMATS else ".jpg"
        name = f"{own.stem}{suffix}"
        names.append(name if name not in names else f"{own.stem}-{place}{suffix}")
    return [folder / name for name in names]


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
