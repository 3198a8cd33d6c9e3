"""The values of `--precision`, and which targets heed them.

parse_precision("fp16")                              # "f16"
check_precision("int8", [load_target("cuda-sm90")])  # UsageError: target cuda-sm90 computes in f32
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ovenbird.backends.table import BACKENDS
from ovenbird.errors import UsageError
from ovenbird.targets import TargetSpec, load_target, target_folders
from ovenbird_runtime.manifest.agreement import Precision

if TYPE_CHECKING:
    from ovenbird.options import CompileOptions

AUTO = "auto"
"""What stands for int8 where that costs few enough answers, and f32 elsewhere."""
PRECISIONS: dict[str, Precision] = {
    "f32": "f32", "f16": "f16", "bf16": "bf16", "int8": "int8",
    "fp32": "f32", "float32": "f32", "float": "f32",
    "fp16": "f16", "float16": "f16", "half": "f16", "bfloat16": "bf16",
    "i8": "int8", "u8": "int8", "uint8": "int8", "w8a8": "int8",
}  # fmt: skip
"""The names of `--precision`, ours first; the others are what other tools and numpy call them."""


def parse_precision(text: str) -> Precision:
    """Read the value of `--precision`, in any case. Raises UsageError."""
    try:
        return PRECISIONS[text.lower()]
    except KeyError:
        raise UsageError(
            f"--precision {text!r}: there are f32, int8 and bf16 on targets of {_kinds('int8')}, f16 on targets of "
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


def check_precision(asked: Precision, specs: Sequence[TargetSpec]) -> str:
    """Refuse a precision that no target computes in, or for which one lacks the instruction, and return a note of those
    that compute in another.

    Raises UsageError.
    """
    found = {spec.name: BACKENDS[spec.kind].precision(asked) for spec in specs}
    if asked not in found.values():
        raise UsageError(
            f"--precision {asked}: target {', '.join(found)} computes in {' and '.join(sorted(set(found.values())))}; "
            f"{asked} is for targets of {_kinds(asked)} (`ovenbird targets` lists them)"
        )
    for spec in specs:
        lacks = BACKENDS[spec.kind].lacks(spec, asked)
        if lacks:
            raise UsageError(f"--precision {asked}: target {spec.name} has no {lacks}; {', '.join(_able(asked))} do")
    others = [name for name, precision in found.items() if precision != asked]
    return f"note: {', '.join(others)} computes in {found[others[0]]}" if others else ""


def check_precisions(options: CompileOptions, specs: Sequence[TargetSpec]) -> list[str]:
    """Refuse precisions that no target computes in, and options of int8 without it; return notes. Raises UsageError."""
    int8 = "int8" in options.precisions
    for option, given in (
        ("--calibrate", options.calibration.source is not None),
        ("--max-disagreement", options.max_disagreement is not None),
        ("--quantizer", options.calibration.quantizer != "own"),
        ("--int8-programs", bool(options.calibration.programs)),
    ):
        if given and not int8:
            raise UsageError(f"{option} is about int8: give --precision int8")
    if options.calibration.quantizer != "own" and options.calibration.mix_below is not None:
        raise UsageError("--precision auto chooses among layers that our own quantizer made: leave --quantizer out")
    if len(options.precisions) == 1:
        notes = [check_precision(options.precisions[0], specs)]
    else:
        asked = [one for one in options.precisions if one != "f32"]
        for one in asked:
            check_precision(one, specs)
        notes = []
    return [note for note in notes if note]


def _able(precision: Precision) -> list[str]:
    """Return the targets that have what a precision needs."""
    specs = [load_target(name) for name in target_folders()]
    backends = [(spec, BACKENDS[spec.kind]) for spec in specs]
    return [spec.name for spec, one in backends if precision in one.precisions and not one.lacks(spec, precision)]


def _kinds(precision: Precision) -> str:
    return "kind " + ", ".join(kind for kind, backend in BACKENDS.items() if precision in backend.precisions)
