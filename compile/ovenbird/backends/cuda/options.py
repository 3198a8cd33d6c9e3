"""What may be told about GPU code, apart from the target; other targets do not heed it.

Example: `GpuOptions(precision="float16")`, which `ovenbird compile --precision fp16` makes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Precision = Literal["float32", "float16"]

#: The names of `--precision`.
PRECISIONS: dict[str, Precision] = {"fp32": "float32", "fp16": "float16"}

#: The least tolerance that `compile` verifies float16 code with: each value is rounded to 1/2048, layer after layer.
HALF_TOLERANCE = 2e-2


@dataclass(frozen=True)
class GpuOptions:
    """`precision`: of values in memory; inputs, outputs and sums stay float32. `fast_math`: nvcc's --use_fast_math."""

    precision: Precision = "float32"
    fast_math: bool = False


#: Exact float32.
DEFAULT = GpuOptions()
