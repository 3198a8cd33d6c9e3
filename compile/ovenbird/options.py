"""Options of a compile.

CompileOptions(targets=("host", "cuda-sm90"), batch_sizes=(1,))
"""

from __future__ import annotations

from dataclasses import dataclass

from ovenbird.backends.cuda.options import DEFAULT, GpuOptions
from ovenbird.lowering.dumping import DumpKind

DEFAULT_BATCHES = (1, 8)


@dataclass(frozen=True)
class CompileOptions:
    """Options of `ovenbird compile`.

    `tuning_records`: a folder, "none", or None for the ones that match. `tolerance`: the root mean square of errors,
    as a share of each output's own spread; None for what code of its precision is held to.
    """

    targets: tuple[str, ...] = ("host",)
    batch_sizes: tuple[int, ...] = DEFAULT_BATCHES
    tuning_records: str | None = None
    tolerance: float | None = None
    dump: tuple[DumpKind, ...] = ()
    gpu: GpuOptions = DEFAULT


DEFAULT_OPTIONS = CompileOptions()
