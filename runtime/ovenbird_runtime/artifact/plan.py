"""`plan.json`: each program as a list of kernel calls over one arena of memory, for a runtime without TVM.

    plan.find("main", batch=8).calls[0].kernel      # "fused_conv2d_add_relu"

`plan_file.py` reads and writes it, `plan_checks.py` has the rules.

A program that branches, or whose shapes are not fixed, has no entry here and runs on TVM's virtual machine alone.
The compiler writes plans (`ovenbird.planning`); docs/explanation/plan.md says what a runner must provide.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from ..dataclass import dataclass
from ..limits import (
    ALIGNMENT_BYTES,
    MAX_ARENA_BYTES,
    MAX_CONSTANT_BYTES,
    MAX_DIM,
    MAX_ENTRIES,
    MAX_IO_TENSORS,
    MAX_KERNEL_BUFFERS,
    MAX_KERNEL_CHARS,
    MAX_PLAN_BUFFERS,
    MAX_PLAN_CALLS,
    MAX_RANK,
    PLAN_VERSION,
)
from ..manifest.fields import ITEM_BYTES, Batch, Dtype, Name
from ..manifest.schema import Count, Range, Text

PLAN = "plan.json"
"""The file's name, next to `model.so`."""

Index = Annotated[int, Range(0, MAX_PLAN_BUFFERS)]
Indices = Annotated[tuple[Index, ...], Count(0, MAX_KERNEL_BUFFERS)]


@dataclass(frozen=True)
class Buffer:
    """One tensor that kernels take: contiguous, rows first, at a multiple of 64 bytes. Views are buffers of one place.

    `at` counts bytes of the arena; else it is an index: of the program's inputs, of `target.json`'s tensors, of the
    entry's constants. Only the arena is written to.
    """

    place: Literal["arena", "input", "weight", "constant"]
    at: Annotated[int, Range(0, MAX_ARENA_BYTES)]
    dtype: Dtype
    shape: Annotated[tuple[Annotated[int, Range(1, MAX_DIM)], ...], Count(0, MAX_RANK)]

    @property
    def nbytes(self) -> int:
        """Its size in bytes."""
        return ITEM_BYTES[self.dtype] * math.prod(self.shape)


@dataclass(frozen=True)
class PlanCall:
    """One kernel, a symbol of `model.so`, called with the buffers it reads and then those it writes, in this order."""

    kernel: Annotated[str, Text(r"[A-Za-z_][A-Za-z0-9_]*", MAX_KERNEL_CHARS)]
    reads: Indices
    writes: Indices


@dataclass(frozen=True)
class PlanEntry:
    """One compiled (program, batch, size): what it needs, what it calls, and which buffers are its outputs then."""

    program: Name
    batch: Batch
    size: Annotated[tuple[Annotated[int, Range(1, MAX_DIM)], ...], Count(0, MAX_RANK)]
    """Height and width of the images it was compiled for; empty where the program has but one size."""
    arena_bytes: Annotated[int, Range(0, MAX_ARENA_BYTES)]
    constants: Annotated[
        tuple[Annotated[str, Text(r"([0-9a-f]{2})+", 2 * MAX_CONSTANT_BYTES)], ...], Count(0, MAX_PLAN_BUFFERS)
    ]
    """Bytes in hexadecimal, as they lie in memory (little-endian)."""
    buffers: Annotated[tuple[Buffer, ...], Count(1, MAX_PLAN_BUFFERS)]
    calls: Annotated[tuple[PlanCall, ...], Count(0, MAX_PLAN_CALLS)]
    outputs: Annotated[tuple[Index, ...], Count(1, MAX_IO_TENSORS)]

    @property
    def key(self) -> tuple[str, int, tuple[int, ...]]:
        """What it was compiled for."""
        return self.program, self.batch, self.size


@dataclass(frozen=True)
class Plan:
    """`plan.json`: the programs of the `model.so` next to it, for each batch and size that can be planned."""

    plan_version: Annotated[int, Range(1, PLAN_VERSION)]
    alignment: Annotated[int, Range(ALIGNMENT_BYTES, ALIGNMENT_BYTES)]
    entries: Annotated[tuple[PlanEntry, ...], Count(1, MAX_ENTRIES)]

    def find(self, program: str, batch: int, size: tuple[int, ...] = ()) -> PlanEntry | None:
        """Return the entry compiled for these; None where there is no plan for them."""
        return next((entry for entry in self.entries if entry.key == (program, batch, size)), None)
