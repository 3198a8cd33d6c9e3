"""What a user may say about pixels, labels and answers, on the command line and in a file: the same names in both.

    options = ProcessingOptions(base="imagenet", resize=256, mean=(0.5,), labels=Path("labels.txt"))
    options.over(read_document(Path("mynets.preprocess.toml")))      # the command line wins

Each `parse_` reads a command line's text, each field's value is checked in `check`. Raises UsageError.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from ovenbird.errors import UsageError, suggest
from ovenbird.networks.detection.kinds import KINDS
from ovenbird.networks.files.paths import check_path
from ovenbird_runtime.errors import shown
from ovenbird_runtime.limits import MAX_SIDE_PIXELS
from ovenbird_runtime.manifest.steps import Interpolation

Sides = tuple[int, int]
"""Height, then width, in pixels."""
Resizing = int | Sides | Literal["fit", "none"]
AnswerName = Literal["classes", "embedding", "boxes", "text", "raw"]
Channels = Literal["rgb", "bgr", "grey"]
ANSWERS: tuple[AnswerName, ...] = get_args(AnswerName)
INTERPOLATIONS: tuple[str, ...] = get_args(Interpolation)
BRIGHT = 5.0
"""A mean beyond it is meant for pixels of 0 to 255."""


@dataclass(frozen=True)
class ProcessingOptions:
    """What was asked for; None where nothing was."""

    base: str | None = None
    """The pre-processing that the others change: "imagenet", or another that the network has."""
    size: Sides | None = None
    """The image that the network takes."""
    resize: Resizing | None = None
    """A number: the shorter side. A size: exactly that. "fit": within the image, padded. "none": not at all."""
    crop: Sides | None = None
    interpolation: Interpolation | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    scale: float | None = None
    channels: Channels | None = None
    pad: int | None = None
    steps: tuple[Any, ...] | None = None
    """A whole pipeline, as the manifest has it."""
    labels: Path | None = None
    answer: tuple[AnswerName, ...] | Mapping[str, AnswerName] | None = None
    """What the outputs mean: in their order, or by name."""
    decode: str | None = None
    """Which detector's outputs they are (`detection.kinds`); then they are answered as boxes."""
    outputs: tuple[str, ...] | None = None

    @property
    def changes_pixels(self) -> bool:
        """Whether anything but the name of a pre-processing was given."""
        return any(
            getattr(self, name) is not None
            for name in ("resize", "crop", "interpolation", "mean", "std", "scale", "channels", "pad", "steps")
        )

    def over(self, other: ProcessingOptions) -> ProcessingOptions:
        """Return `other` with what is given here in its place."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(other, **{name: value for name, value in given.items() if value is not None})


def parse_size(key: str, value: Any) -> Sides:
    """Read `320`, `"320x480"` or `[320, 480]`: height and width in pixels."""
    if isinstance(value, str) and (found := re.fullmatch(r"\s*(\d{1,6})(?:\s*[x,]\s*(\d{1,6}))?\s*", value, re.ASCII)):
        value = [int(found[1]), int(found[2] or found[1])]
    sides = value if isinstance(value, list) else [value, value]
    if len(sides) != 2 or any(not _whole(side) or not 1 <= side <= MAX_SIDE_PIXELS for side in sides):
        raise UsageError(
            f"{key} is {shown(value)}, expected HEIGHTxWIDTH or one number, each 1 to {MAX_SIDE_PIXELS} pixels"
        )
    return (int(sides[0]), int(sides[1]))


def parse_resize(key: str, value: Any) -> Resizing:
    """Read a shorter side, `256`, an exact size, `320x480`, `fit` or `none`."""
    if value == "fit" or value == "none":
        return value  # type: ignore[no-any-return]
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value) if len(value) < 8 else value
    try:
        size = parse_size(key, value)
    except UsageError as error:
        raise UsageError(f"{error}, or fit, or none") from None
    return size[0] if _whole(value) else size


def parse_values(key: str, value: Any) -> tuple[float, ...]:
    """Read one number, or one each for red, green and blue: `0.5`, `"0.485,0.456,0.406"`, a list."""
    if isinstance(value, str):
        value = [parse_number(key, part) for part in value.strip("[]() ").split(",")]
    values = value if isinstance(value, list) else [value]
    if len(values) not in (1, 3) or any(not _number(one) for one in values):
        raise UsageError(f"{key} is {shown(value)}, expected one number, or three: red, green, blue")
    if any(abs(one) > 1e6 for one in values):
        raise UsageError(f"{key} is {shown(value)}, limit 1e6")
    if key.endswith("std") and any(one <= 1e-30 for one in values):
        raise UsageError(f"{key} is {shown(value)}: pixels are divided by it, it must be above 0")
    return tuple(float(one) for one in values)


def parse_number(key: str, value: Any) -> float:
    """Read a number, or a fraction of two: `1/127.5`."""
    found: Any = value
    if isinstance(value, str):
        above, slash, below = value.partition("/")
        try:
            found = float(above) / (float(below) if slash else 1.0)
        except (ValueError, ZeroDivisionError):
            found = None
    if not _number(found):
        raise UsageError(f"{key} is {shown(value)}, expected a number, as in 0.5 or 1/255")
    return float(found)


def parse_scale(key: str, value: Any) -> float:
    """Read what pixels of 0 to 255 are multiplied by."""
    scale = parse_number(key, value)
    if not 1e-9 <= scale <= 1e6:
        raise UsageError(f"{key} is {shown(value)}, expected 1e-9 to 1e6; 1/255 makes pixels of 0 to 1")
    return scale


def parse_word(key: str, value: Any, known: tuple[str, ...]) -> Any:
    """Read one of some words."""
    if not isinstance(value, str) or value.strip().lower() not in known:
        near = suggest(value, known) if isinstance(value, str) else ""
        raise UsageError(f"{key} is {shown(value)}, expected {', '.join(known)}{near}")
    return value.strip().lower()


def parse_pad(key: str, value: Any) -> int:
    """Read the value of the pixels around a picture that was fitted in."""
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 6:
        value = int(value)
    if not _whole(value) or not 0 <= value <= 255:
        raise UsageError(f"{key} is {shown(value)}, expected 0 to 255")
    return int(value)


def parse_answer(key: str, value: Any) -> tuple[AnswerName, ...] | dict[str, AnswerName]:
    """Read what outputs mean: `classes,embedding` in their order, or by name, `logits=classes`."""
    if isinstance(value, str):
        parts = [part.strip() for part in value.split(",") if part.strip()]
        if any("=" in part for part in parts):
            pairs = [part.partition("=")[::2] for part in parts]
            value = {name.strip(): kind.strip() for name, kind in pairs}
        else:
            value = parts
    if isinstance(value, dict) and value:
        return {str(name): parse_word(f"{key} of {shown(name)}", kind, ANSWERS) for name, kind in value.items()}
    if not isinstance(value, list) or not value:
        raise UsageError(f"{key} is {shown(value)}, expected {', '.join(ANSWERS)}, or a table of them by output")
    return tuple(parse_word(key, kind, ANSWERS) for kind in value)


def parse_names(key: str, value: Any) -> tuple[str, ...]:
    """Read names with commas between them, or a list."""
    found = value.split(",") if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(name, str) and name.strip() for name in found):
        raise UsageError(f"{key} is {shown(value)}, expected names, as in logits,embedding")
    return tuple(name.strip() for name in found)


def parse_file(key: str, value: Any) -> Path:
    """Read a path."""
    if not isinstance(value, str):
        raise UsageError(f"{key} is {shown(value)}, expected a file")
    return check_path(key, value)


PARSERS: Mapping[str, Any] = {
    "base": lambda key, value: parse_word(key, value, ("imagenet",)),
    "size": parse_size,
    "resize": parse_resize,
    "crop": parse_size,
    "interpolation": lambda key, value: parse_word(key, value, INTERPOLATIONS),
    "mean": parse_values,
    "std": parse_values,
    "scale": parse_scale,
    "channels": lambda key, value: parse_word(key, value, get_args(Channels)),
    "pad": parse_pad,
    "labels": parse_file,
    "answer": parse_answer,
    "decode": lambda key, value: parse_word(key, value, tuple(KINDS)),
    "outputs": parse_names,
}
"""How each option's value is read, from a command line's text or from a file's value."""


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
