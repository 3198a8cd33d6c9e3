"""The values of `--precision`, and which targets heed them.

parse_precision("fp16")                              # "f16"
check_precision("int8", {"cuda-sm90": "cuda"})       # UsageError: target cuda-sm90 computes in f32
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ovenbird.backends.table import BACKENDS
from ovenbird.errors import UsageError
from ovenbird_runtime.manifest.agreement import Precision

if TYPE_CHECKING:
    from ovenbird.options import CompileOptions

AUTO = "auto"
"""What stands for int8 where that costs few enough answers, and f32 elsewhere."""
PRECISIONS: dict[str, Precision] = {
    "f32": "f32", "f16": "f16", "int8": "int8",
    "fp32": "f32", "float32": "f32", "float": "f32",
    "fp16": "f16", "float16": "f16", "half": "f16",
    "i8": "int8", "u8": "int8", "uint8": "int8", "w8a8": "int8",
}  # fmt: skip
"""The names of `--precision`, ours first; the others are what other tools and numpy call them."""


def parse_precision(text: str) -> Precision:
    """Read the value of `--precision`, in any case. Raises UsageError."""
    try:
        return PRECISIONS[text.lower()]
    except KeyError:
        raise UsageError(
            f"--precision {text!r}: there are f32, int8 on targets of {_kinds('int8')}, f16 on targets of "
            f"{_kinds('f16')}"
        ) from None


def parse_precisions(text: str) -> tuple[tuple[Precision, ...], bool]:
    """Read several with commas between them, and whether `auto` is among them: int8 but for some layers.

    Raises UsageError.
    """
    parts = [part.strip().lower() for part in text.split(",")]
    found = [parse_precision("int8" if part == AUTO else part) for part in parts]
    if AUTO in parts and found.count("int8") > parts.count(AUTO):
        raise UsageError(f"--precision {text}: auto is int8 but for some layers; give one of the two")
    return tuple(dict.fromkeys(found)), AUTO in parts


def check_precision(asked: Precision, kinds: Mapping[str, str]) -> str:
    """Refuse a precision that no target (name: kind) computes in, and return a note of those that do not.

    Raises UsageError.
    """
    found = {name: BACKENDS[kind].precision(asked) for name, kind in kinds.items()}
    if asked not in found.values():
        raise UsageError(
            f"--precision {asked}: target {', '.join(found)} computes in {' and '.join(sorted(set(found.values())))}; "
            f"{asked} is for targets of {_kinds(asked)} (`ovenbird targets` lists them)"
        )
    others = [name for name, precision in found.items() if precision != asked]
    return f"note: {', '.join(others)} computes in {found[others[0]]}" if others else ""


def check_precisions(options: CompileOptions, kinds: Mapping[str, str]) -> list[str]:
    """Refuse precisions that no target computes in, and options of int8 without it; return notes. Raises UsageError."""
    int8 = "int8" in options.precisions
    for option, given in (
        ("--calibrate", options.calibration.source is not None),
        ("--max-disagreement", options.max_disagreement is not None),
    ):
        if given and not int8:
            raise UsageError(f"{option} is about int8: give --precision int8")
    if len(options.precisions) == 1:
        notes = [check_precision(options.precisions[0], kinds)]
    else:
        asked = [one for one in options.precisions if one != "f32"]
        for one in asked:
            check_precision(one, kinds)
        notes = []
    return [note for note in notes if note]


def _kinds(precision: Precision) -> str:
    return "kind " + ", ".join(kind for kind, backend in BACKENDS.items() if precision in backend.precisions)
