"""Numbers, switches and paths as callers have them: Python's own, numpy's, and whatever else stands for one.

    top = whole("top", numpy.int64(2), 1, MAX_TOP)        # 2, an int
    seconds = real("seconds", numpy.float32(0.5), 3600)   # 0.5, a float

A bool is no number and 2.0 no whole one: who passes them meant another argument. Raises WrongOption.
"""

from __future__ import annotations

import math
import operator
import os
from dataclasses import fields
from numbers import Real
from pathlib import Path
from typing import Any

from .dataclass import dataclass
from .errors import WrongOption, shown
from .limits import MAX_SIDE_PIXELS

_HUGE = 1 << 62


def whole(name: str, value: Any, low: int, high: int) -> int:
    """Return an integer of `low` to `high`."""
    try:
        number = low - 1 if _is_switch(value) else operator.index(value)
    except TypeError:
        number = low - 1
    if not low <= number <= high:
        raise WrongOption(f"{name} is {shown(value)}, expected a whole number from {low} to {_power(high)}")
    return number


def real(name: str, value: Any, high: float, or_zero: bool = False) -> float:
    """Return a number above 0, or 0 too, and up to `high`."""
    try:
        number = float(value) if isinstance(value, Real) and not _is_switch(value) else math.nan
    except OverflowError:
        number = math.inf
    if not (0 < number <= high or (or_zero and number == 0)):
        raise WrongOption(f"{name} is {shown(value)}, expected a number {'from' if or_zero else 'above'} 0 to {high:g}")
    return number


def sides(name: str, value: Any) -> tuple[int, int]:
    """Return height and width in pixels: of two whole numbers, of one for both, or of text as in 320x480."""
    found = value
    if isinstance(value, str):
        parts = value.split("x")
        found = [int(part) if part.isascii() and part.isdecimal() and len(part) < 7 else part for part in parts]
        found = found if len(found) > 1 else found * 2
    if not isinstance(found, (list, tuple)):
        found = (found, found)
    try:
        height, width = (whole(name, side, 1, MAX_SIDE_PIXELS) for side in found)
    except (WrongOption, ValueError):
        raise WrongOption(
            f"{name} is {shown(value)}, expected HEIGHTxWIDTH or one number, each 1 to {MAX_SIDE_PIXELS} pixels"
        ) from None
    return height, width


def flag(name: str, value: Any) -> bool:
    """Return a bool, numpy's too."""
    if not _is_switch(value):
        raise WrongOption(f"{name} is {shown(value)}, expected True or False")
    return bool(value)


def path_text(name: str, value: Any) -> str:
    """Return a path as text: of a str, bytes or `os.PathLike`."""
    try:
        return os.fsdecode(value)
    except TypeError:
        raise WrongOption(f"{name} is {shown(value)}, expected a path") from None


def _is_switch(value: Any) -> bool:
    """Return whether a value is a bool, or one of numpy's, without importing numpy."""
    return isinstance(value, bool) or type(value).__name__ in ("bool_", "bool")


def _power(number: int) -> str:
    """Write 2**63 - 1 so."""
    bits = (number + 1).bit_length() - 1
    return f"2**{bits} - 1" if bits > 31 and number + 1 == 1 << bits else str(number)


@dataclass(frozen=True)
class Settled:
    """A dataclass of settings whose numbers, switches and paths become Python's own. Raises WrongOption."""

    def __post_init__(self) -> None:
        """Convert each field by its type."""
        for field in fields(self):
            value = getattr(self, field.name)
            kind = str(field.type).removesuffix(" | None")
            if value is None and kind != field.type:
                continue
            if kind == "int":
                value = whole(field.name, value, 0, _HUGE)
            elif kind == "float":
                value = real(field.name, value, _HUGE, or_zero=True)
            elif kind == "bool":
                value = flag(field.name, value)
            elif kind == "Path":
                value = Path(path_text(field.name, value))
            object.__setattr__(self, field.name, value)
