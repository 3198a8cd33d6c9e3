"""Files of class names: text with one a line, or JSON, a list or a table by index.

read_labels(Path("labels.txt"))         # ("cat", "dog")
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ovenbird.errors import PreprocessInvalid
from ovenbird.networks.files.texts import read_text
from ovenbird_runtime.errors import shown
from ovenbird_runtime.limits import MAX_LABELS_BYTES


def read_labels(path: Path) -> tuple[str, ...]:
    """Return the labels of a file, by class. Raises PreprocessInvalid."""
    text = read_text(path, MAX_LABELS_BYTES, lambda why: PreprocessInvalid(f"labels {path}: {why}"))
    if path.suffix.lower() == ".json":
        return tuple(_line(path, number, label) for number, label in enumerate(_from_json(path, text)))
    lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    if lines == [""]:
        raise PreprocessInvalid(f"labels {path}: empty, expected a name a line")
    return tuple(_line(path, number, line) for number, line in enumerate(lines))


def _line(path: Path, number: int, label: Any) -> str:
    if not isinstance(label, str) or not label.strip() or not label.strip().isprintable():
        raise PreprocessInvalid(f"labels {path}:{number + 1}: {shown(label)} is no name of class {number}")
    return label.strip()


def _from_json(path: Path, text: str) -> list[Any]:
    """Return the labels of `["cat", "dog"]`, `{"0": "cat"}`, or ImageNet's `{"0": ["n01440764", "tench"]}`."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PreprocessInvalid(f"labels {path}: not JSON: {str(error).splitlines()[0]}") from None
    if isinstance(found, dict):
        missing = next((str(place) for place in range(len(found)) if str(place) not in found), None)
        if missing is not None:
            raise PreprocessInvalid(f"labels {path}: a table of {len(found)} classes without {missing!r}")
        found = [found[str(place)] for place in range(len(found))]
    if not isinstance(found, list) or not found:
        raise PreprocessInvalid(f"labels {path}: expected a list of names, or a table by index")
    return [label[-1] if isinstance(label, list) and label else label for label in found]
