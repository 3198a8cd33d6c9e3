"""The file that says how pictures become a network's input, and what its outputs mean: `mynets.preprocess.toml`.

    options = read_document(Path("mynets.preprocess.toml"))
    find_document(Path("nets/mynets.py"))       # Path("nets/mynets.preprocess.toml"), or None

    base = "imagenet"
    resize = 256
    labels = "labels.txt"                       # next to the file
    answer = { logits = "classes", embedding = "embedding" }

Its keys are the names of `compile`'s options, and `steps`, a whole pipeline as the manifest has it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

from ovenbird.errors import PreprocessInvalid, UsageError, suggest
from ovenbird.limits import MAX_DOCUMENT_BYTES
from ovenbird.networks.files.texts import read_text
from ovenbird.networks.processing.options import PARSERS, ProcessingOptions
from ovenbird_runtime.errors import ManifestInvalid, shown
from ovenbird_runtime.limits import MAX_STEPS
from ovenbird_runtime.manifest.schema import Count, decode
from ovenbird_runtime.manifest.steps import Step, problem

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SUFFIX = ".preprocess.toml"


def find_document(network: Path) -> Path | None:
    """Return the file next to a network's that has its name, `net.preprocess.toml` for `net.onnx`; None without one."""
    path = network.with_name(f"{network.stem}{SUFFIX}")
    return path if path.is_file() else None


def read_document(path: Path) -> ProcessingOptions:
    """Read a file. Raises PreprocessInvalid, which names the file, the line, the key and what was expected."""
    text = read_text(path, MAX_DOCUMENT_BYTES, lambda why: PreprocessInvalid(f"{path}: {why}"))
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"\(at line (\d+)", str(error))
        where = f"{path}:{line[1] if line else text.rstrip().count(chr(10)) + 1}"
        raise PreprocessInvalid(f"{where}: not TOML: {str(error).split(' (at ')[0]}") from None
    except (RecursionError, ValueError) as error:
        raise PreprocessInvalid(f"{path}: not TOML that can be read: {type(error).__name__}") from None
    found: dict[str, Any] = {}
    for key, value in document.items():
        where = f"{path}:{line_of(text, key)}: {shown(key).strip(chr(39))}"
        if key == "steps":
            found[key] = _steps(f"{path}:{line_of(text, key)}", value)
        elif key in PARSERS:
            found[key] = _parsed(where, PARSERS[key], value)
        else:
            known = (*PARSERS, "steps")
            raise PreprocessInvalid(f"{where} is unknown{suggest(key, known) or '; known are ' + ', '.join(known)}")
    if "steps" in found and (other := next((name for name in PIXELS if name in found), None)):
        raise PreprocessInvalid(f"{path}:{line_of(text, other)}: {other} does not go with steps, which say it all")
    if "labels" in found:
        found["labels"] = path.parent / found["labels"]
    return ProcessingOptions(**found)


PIXELS = ("base", "resize", "crop", "interpolation", "mean", "std", "scale", "channels", "pad")
assert {*PIXELS, "steps", "size", "labels", "answer", "decode", "outputs"} == {
    field.name for field in fields(ProcessingOptions)
}


def line_of(text: str, key: str) -> int:
    """Return the line on which a key of the top level stands, counted from 1."""
    found = re.search(rf"""^[ \t]*\[*[ \t]*["']?{re.escape(key)}["']?[ \t]*[=.\]]""", text, re.MULTILINE)
    return text.count("\n", 0, found.start()) + 1 if found else 1


def _parsed(where: str, parse: Callable[[str, Any], Any], value: Any) -> Any:
    try:
        return parse(where, value)
    except UsageError as error:
        raise PreprocessInvalid(str(error)) from None


@dataclass(frozen=True)
class _Document:
    """What of a file is decoded by the manifest's own schema."""

    steps: Annotated[tuple[Step, ...], Count(1, MAX_STEPS)]


def _steps(where: str, value: Any) -> tuple[Step, ...]:
    """Decode a pipeline. Raises PreprocessInvalid."""
    try:
        steps = decode(_Document, {"steps": value}, where).steps
    except ManifestInvalid as error:
        raise PreprocessInvalid(str(error)) from None
    wrong = problem(steps)
    if wrong:
        raise PreprocessInvalid(f"{where}: steps: {wrong}")
    return steps
