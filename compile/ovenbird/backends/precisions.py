"""The values of `--precision`, and which targets heed them.

parse_precision("fp16")                              # "f16"
check_precision("f16", {"host": "llvm"})             # UsageError: target host computes in f32
"""

from __future__ import annotations

from collections.abc import Mapping

from ovenbird.backends.table import BACKENDS
from ovenbird.errors import UsageError
from ovenbird_runtime.manifest.agreement import Precision

PRECISIONS: dict[str, Precision] = {
    "f32": "f32", "f16": "f16",
    "fp32": "f32", "float32": "f32", "float": "f32",
    "fp16": "f16", "float16": "f16", "half": "f16",
}  # fmt: skip
"""The names of `--precision`, ours first; the others are what other tools and numpy call them."""


def parse_precision(text: str) -> Precision:
    """Read the value of `--precision`, in any case. Raises UsageError."""
    try:
        return PRECISIONS[text.lower()]
    except KeyError:
        raise UsageError(f"--precision {text!r}: there are f32, and f16 on targets of {_kinds('f16')}") from None


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


def _kinds(precision: Precision) -> str:
    return "kind " + ", ".join(kind for kind, backend in BACKENDS.items() if precision in backend.precisions)
