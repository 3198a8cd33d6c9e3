"""The characters of a network that reads lines of text: from a file, one a line, or from the ONNX file itself.

characters_of(Path("ppocr_keys.txt"), {}, classes=6625)     # ("<blank>", "'", "\u7597", ..., " ")

PaddleOCR's convention: class 0 is no character; the file's characters follow; a space is the last where there is a
class left for it. A file with as many lines as classes says all of them, its first line in the place of none.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ovenbird.errors import PreprocessInvalid, UsageError
from ovenbird.networks.files.texts import read_text
from ovenbird_runtime.limits import MAX_LABELS_BYTES

BLANK = "<blank>"
METADATA = "character"
"""The name under which PaddleOCR's ONNX files bring them."""


def characters_of(given: Path | None, metadata: Mapping[str, str], classes: int) -> tuple[str, ...]:
    """Return the character of each class: of a file that was given, else of the network's. Raises UsageError."""
    if given is None and METADATA not in metadata:
        raise UsageError(
            "--answer text: the network does not bring its characters; give them, one a line: --labels FILE"
        )
    where = f"labels {given}" if given is not None else "the network's characters"
    if given is not None:
        text = read_text(given, MAX_LABELS_BYTES, lambda why: PreprocessInvalid(f"labels {given}: {why}"))
    else:
        text = metadata[METADATA]
    lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    missing = classes - len(lines)
    if missing not in (0, 1, 2):
        raise UsageError(f"{where}: {len(lines)} characters, the network has {classes} classes")
    if missing == 0:
        return (BLANK, *lines[1:])
    return (BLANK, *lines, *([" "] if missing == 2 else []))
