"""Options of GPU code, apart from the target; other targets ignore them.

Example: `GpuOptions(precision="float16")`, which `ovenbird compile --precision f16` makes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ovenbird.errors import UsageError

Precision = Literal["float32", "float16"]

PRECISIONS: dict[str, Precision] = {
    "f32": "float32", "f16": "float16",
    "fp32": "float32", "float32": "float32", "float": "float32",
    "fp16": "float16", "float16": "float16", "half": "float16",
}  # fmt: skip
"""The names of `--precision`, ours first; the others are what other tools call them."""


@dataclass(frozen=True)
class GpuOptions:
    """`precision`: of values in memory; inputs, outputs and sums stay float32. `fast_math`: nvcc's --use_fast_math."""

    precision: Precision = "float32"
    fast_math: bool = False


def parse_precision(text: str) -> Precision:
    """Read the value of `--precision`, in any case. Raises UsageError."""
    try:
        return PRECISIONS[text.lower()]
    except KeyError:
        raise UsageError(f"--precision {text!r}: there are f32, and f16 on targets of kind cuda") from None


def check_precision(precision: Precision, kinds: Mapping[str, str]) -> str:
    """Refuse float16 where no target (name: kind) computes in it, and return a note of those that do not.

    Raises UsageError.
    """
    if precision == "float16" and "cuda" not in kinds.values():
        raise UsageError(
            f"--precision f16: target {', '.join(kinds)} computes in f32; f16 is for targets of kind cuda, "
            "such as cuda-sm80 (`ovenbird targets` lists them)"
        )
    others = [name for name, kind in kinds.items() if kind != "cuda"]
    return f"note: {', '.join(others)} computes in f32" if precision == "float16" and others else ""


DEFAULT = GpuOptions()
"""Exact float32."""
