"""Photographs with what was found drawn into them, as files, for `ovenbird-rt run --save`.

save_annotated(["a.jpg", "b.jpg"], predictions, Path("annotated"), megapixels=50.0)      # into a folder
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import OutputNotWritten, WrongOption, shown
from ..postprocess.prediction import Prediction
from ..postprocess.showing import drawn_into, has_drawing
from ..preprocess.images import open_image
from ..tensors.writing import write_whole

FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP"}


def save_annotated(
    sources: Sequence[Any],
    predictions: Sequence[Prediction],
    path: Path,
    megapixels: float,
    several: bool | None = None,
) -> None:
    """Draw each prediction into a copy of its image: the file `path` for one image, a folder for several, which there
    may have been before those that could not be read were left out.

    Raises WrongOption for predictions without boxes, classes and texts and a `path` that would overwrite an image,
    OutputNotWritten.
    """
    for prediction in predictions:
        if not has_drawing(prediction):
            raise WrongOption(f"{prediction.model} answers with numbers alone: there is nothing to draw (--save)")
    folder = (len(sources) > 1 if several is None else several) or path.is_dir()
    targets = _names_in(path, sources) if folder else [path]
    for source, target in zip(sources, targets, strict=True):
        if target.suffix.lower() not in FORMATS:
            raise WrongOption(f"{shown(target.name)} is no picture's name: expected {', '.join(FORMATS)} (--save)")
        if isinstance(source, (str, os.PathLike)) and target.exists() and target.samefile(source):
            raise WrongOption(f"{shown(target.name)} is the image itself: give another name (--save)")
    try:
        if folder:
            path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputNotWritten(f"{shown(path.name)} cannot be written: {error.strerror or error}") from None
    for source, prediction, target in zip(sources, predictions, targets, strict=True):
        write_whole(target, _encoded(drawn_into(open_image(source, megapixels), prediction), target.name))


def _encoded(picture: Any, name: str) -> bytes:
    """Return a picture as the bytes of a file of that name. Raises OutputNotWritten: formats have longest sides."""
    file = io.BytesIO()
    try:
        picture.save(file, FORMATS[Path(name).suffix.lower()], quality=92)
    except (OSError, ValueError) as error:
        raise OutputNotWritten(f"{shown(name)} cannot be written: {error}") from None
    return file.getvalue()


def _names_in(folder: Path, sources: Sequence[Any]) -> list[Path]:
    """Return a name for each image, its own where it has one that is not taken yet."""
    names: list[str] = []
    for place, source in enumerate(sources):
        own = Path(os.fsdecode(source)) if isinstance(source, (str, os.PathLike)) else Path(f"{place}.jpg")
        suffix = own.suffix if own.suffix.lower() in FORMATS else ".jpg"
        name = f"{own.stem}{suffix}"
        names.append(name if name not in names else f"{own.stem}-{place}{suffix}")
    return [folder / name for name in names]
