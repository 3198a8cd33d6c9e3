"""darknet's `.cfg`: sections of `key=value`, the first of them `[net]`, each of the others a layer.

    sections = read_cfg(Path("yolov3-tiny.cfg"))
    sections[1].kind, sections[1].whole("filters", 1, low=1, high=65536)       # "convolutional", 16

As darknet reads it (parser.c, option_list.c): blanks count nowhere, `#` and `;` begin comments, of two equal keys the
first counts. Unlike darknet, a value that is no number is refused, with its line.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from ovenbird.errors import NetworkUnreadable
from ovenbird.limits import MAX_CFG_BYTES, MAX_CFG_SECTIONS
from ovenbird.networks.files.texts import read_text
from ovenbird_runtime.errors import shown

KINDS = {
    "network": "net",
    "conv": "convolutional",
    "conn": "connected",
    "max": "maxpool",
    "avg": "avgpool",
    "soft": "softmax",
}
"""darknet's short names."""


@dataclass(frozen=True)
class Section:
    """One layer, or `[net]`: its options, each with the line it stands on."""

    file: str
    line: int
    kind: str
    options: dict[str, tuple[str, int]] = field(default_factory=dict)

    def has(self, key: str) -> bool:
        """Return whether an option is given."""
        return key in self.options

    def text(self, key: str, default: str) -> str:
        """Return an option as it stands there."""
        return self.options.get(key, (default, 0))[0]

    def whole(self, key: str, default: int | None, low: int, high: int) -> int:
        """Return a whole number. Raises NetworkUnreadable; also where it is missing and has no default."""
        if key not in self.options:
            if default is None:
                raise self.error(f"{key} is missing, expected a whole number of {low} to {high}")
            return default
        found = self.wholes(key, low, high)
        if len(found) != 1:
            raise self.error(f"{key} is {shown(self.options[key][0])}, expected one whole number", key)
        return found[0]

    def wholes(self, key: str, low: int, high: int) -> tuple[int, ...]:
        """Return whole numbers with commas between them. Raises NetworkUnreadable."""
        text = self.text(key, "")
        parts = [part for part in text.split(",") if part]
        digits = [part.removeprefix("-").removeprefix("+") for part in parts]
        found = [int(part) for part, plain in zip(parts, digits, strict=True) if plain.isdecimal() and len(plain) < 10]
        if not parts or len(found) != len(parts) or not all(low <= one <= high for one in found):
            raise self.error(f"{key} is {shown(text)}, expected whole numbers of {low} to {high}", key)
        return tuple(found)

    def number(self, key: str, default: float) -> float:
        """Return a number. Raises NetworkUnreadable."""
        return self.numbers(key)[0] if key in self.options else default

    def numbers(self, key: str) -> tuple[float, ...]:
        """Return numbers with commas between them. Raises NetworkUnreadable."""
        text = self.text(key, "")
        try:
            found = tuple(float(part) for part in text.split(",") if part)
        except ValueError:
            found = ()
        if not found or not all(math.isfinite(one) for one in found):
            raise self.error(f"{key} is {shown(text)}, expected numbers", key)
        return found

    def refuse(self, key: str, why: str) -> None:
        """Raise NetworkUnreadable where an option asks for what is not compiled."""
        text = self.text(key, "0")
        if text not in ("0", "0.0", "none"):
            raise self.error(f"{key}={text[:40]} is not compiled: {why}", key)

    def error(self, what: str, key: str = "") -> NetworkUnreadable:
        """Return the error that names the file, the line and the section."""
        line = self.options[key][1] if key in self.options else self.line
        return NetworkUnreadable(f"{self.file}:{line}: [{self.kind}]: {what}")


def read_cfg(path: Path) -> list[Section]:
    """Read a file. Raises NetworkUnreadable, which names the line."""
    text = read_text(path, MAX_CFG_BYTES, lambda why: NetworkUnreadable(f"{path}: {why}"))
    return parse_cfg(text, str(path))


def parse_cfg(text: str, file: str) -> list[Section]:
    """Read a file's text; `file` is what errors name. Raises NetworkUnreadable."""
    sections: list[Section] = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = "".join(raw.split("#")[0].split(";")[0].split())
        if not line:
            continue
        if line.startswith("["):
            if not line.endswith("]") or not line[1:-1].replace("_", "").isalnum():
                raise NetworkUnreadable(f"{file}:{number}: {shown(line)} is no section, as in [convolutional]")
            kind = line[1:-1] if line[1:-1] == "Gaussian_yolo" else line[1:-1].lower()
            sections.append(Section(file, number, KINDS.get(kind, kind)))
            if len(sections) > MAX_CFG_SECTIONS:
                raise NetworkUnreadable(f"{file}:{number}: more than {MAX_CFG_SECTIONS} sections")
            continue
        key, equals, value = line.partition("=")
        if not equals or not key:
            raise NetworkUnreadable(f"{file}:{number}: {shown(line)} is neither key=value nor a [section]")
        if not sections:
            raise NetworkUnreadable(f"{file}:{number}: {shown(line)} stands before the first section, [net]")
        sections[-1].options.setdefault(key, (value, number))
    if not sections or sections[0].kind != "net":
        found = f"begins with [{sections[0].kind}]" if sections else "has no sections"
        raise NetworkUnreadable(f"{file}: {found}, a darknet .cfg begins with [net]")
    if len(sections) == 1:
        raise NetworkUnreadable(f"{file}: has no layers after [net]")
    return sections
