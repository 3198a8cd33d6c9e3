"""Options of a compile.

CompileOptions(targets=("host", "cuda-sm90"), batch_sizes=(1,))
"""

from __future__ import annotations

from dataclasses import dataclass

from ovenbird.lowering.dumping import DumpKind
from ovenbird_runtime.manifest.agreement import Precision

DEFAULT_BATCHES = (1, 8)


@dataclass(frozen=True)
class CompileOptions:
    """Options of `ovenbird compile`.

    `tuning_records`: a folder, "none", or None for the ones that match. `tolerance`: the root mean square of errors,
    as a share of each output's own spread; None for what code of its precision is held to. `precision`, `fast_math`:
    heeded by the targets whose backend has them (`backends.base`).
    """

    targets: tuple[str, ...] = ("host",)
    batch_sizes: tuple[int, ...] = DEFAULT_BATCHES
    tuning_records: str | None = None
    tolerance: float | None = None
    dump: tuple[DumpKind, ...] = ()
    precision: Precision = "f32"
    fast_math: bool = False


DEFAULT_OPTIONS = CompileOptions()
