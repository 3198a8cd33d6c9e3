"""The protocol between the compiler and a kind of processor. `backends.table` lists who fulfils it.

A new kind is a folder with a `Backend`, and its line in that table:

    backend = BACKENDS[target.kind](target, BuildOptions(records=records))
    built = compile_networks({1: module}, backend, records)         # lowering.pipeline: the whole way
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import tvm
from tvm import tirx

from ovenbird.backends.cpu.packing import Packing
from ovenbird.backends.cuda.options import DEFAULT, GpuOptions
from ovenbird.lowering.dumping import Dump
from ovenbird.targets import TargetSpec
from ovenbird_runtime.artifact.agreement import Precision

if TYPE_CHECKING:
    from ovenbird.records.tuning_log import TuningLog


@dataclass(frozen=True)
class BuildOptions:
    """Options of a build. `gpu`: what only code for a GPU heeds; `packing`: what only processors heed."""

    gpu: GpuOptions = DEFAULT
    packing: Packing | None = None
    records: TuningLog | None = None


class Backend(ABC):
    """Compiles for one target; `__init__` raises what keeps that from being done on this machine."""

    device: ClassVar[Literal["cpu", "cuda"]]
    """Where the runtime runs the code."""
    planned: ClassVar[bool]
    """Whether the kernels can be called without TVM, so that programs get a plan."""

    @abstractmethod
    def __init__(self, target: TargetSpec, options: BuildOptions) -> None:
        self.target = target

    @abstractmethod
    def lower(self, networks: dict[int, tvm.IRModule], dump: Dump) -> tvm.IRModule:
        """Return one module of fused, unscheduled functions, from one imported module a batch size."""

    @abstractmethod
    def schedule(self, function: tirx.PrimFunc) -> tirx.PrimFunc:
        """Return a function by its default schedule. Raises BuildFailed for one that no rule can schedule."""

    @abstractmethod
    def for_host(self, function: tirx.PrimFunc) -> tirx.PrimFunc:
        """Return a scheduled function as one that the processor runs, whatever runs the others."""

    @abstractmethod
    def allocate(self, scheduled: tvm.IRModule) -> tvm.IRModule:
        """Return scheduled functions with every tensor in planned memory and every kernel called by name."""

    @abstractmethod
    def generate(self, allocated: tvm.IRModule, dump: Dump) -> Any:
        """Return TVM's executable of allocated functions. Raises BuildFailed."""

    @staticmethod
    @abstractmethod
    def why_not_here(target_json: Path) -> str:
        """Return why this machine cannot run a compiled variant, which its processor can; "" where it can."""

    @staticmethod
    @abstractmethod
    def precision(options: BuildOptions) -> Precision:
        """Return the precision of the code's arithmetic, which decides what it is held to when it is verified."""
