"""The protocol between the compiler and a kind of processor. `backends.table` lists who fulfils it.

A new kind is a folder with a `Backend`, and its line in that table:

    backend = BACKENDS[target.kind]
    backend.precision("f16")                                        # "f32", where it computes in nothing else
    compiler = backend.compiler(target, BuildOptions(records=records))
    built = compile_networks({EntryKey("main", 1): module}, compiler, records)        # lowering.pipeline: the whole way

A `Backend` is cheap to import, as commands ask it what needs no compiler; `compiler` and `tuner` import the rest.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ovenbird.backends.optimisations import NOTHING, Without
from ovenbird.targets import TargetSpec
from ovenbird_runtime.manifest.agreement import Precision

if TYPE_CHECKING:
    import tvm
    from tvm import tirx

    from ovenbird.lowering.dumping import Dump
    from ovenbird.lowering.entry_key import Networks
    from ovenbird.measure.candidates import Builder
    from ovenbird.measure.log_writer import LogWriter
    from ovenbird.measure.measuring import Measurer
    from ovenbird.measure.searching import Search
    from ovenbird.measure.tasks import Task
    from ovenbird.records.tuning_log import TuningLog

FindRecords = Callable[[TargetSpec], "TuningLog | None"]
"""Opens the tuning records of a target, None where the defaults are to be taken."""


@dataclass(frozen=True)
class BuildOptions:
    """Options of a build.

    `precision`: what was asked for; a backend computes in `Backend.precision` of it. `some_bfloat16`: layers in floats
    whose weights are bfloat16 multiply that, next to others in int8, as the target can. `fast_math`: let the code
    approximate division, exp and others. `packing`: what `Backend.packing` returned. `without`: optimisations to leave
    out, of those that the backend has.
    """

    precision: Precision = "f32"
    _: KW_ONLY
    some_bfloat16: bool = False
    fast_math: bool = False
    packing: Any = None
    records: TuningLog | None = None
    without: Without = NOTHING


class Backend(ABC):
    """What is known of a kind of processor before anything is compiled."""

    device: ClassVar[str] = "cpu"
    """Where the runtime runs the code (`ovenbird_runtime.machine.devices`)."""
    precisions: ClassVar[tuple[Precision, ...]] = ("f32",)
    """What the code may compute in, the default first."""
    extra: ClassVar[str] = ""
    """The extra that the compiler and the runtime need for it."""
    optimisations: ClassVar[Without] = NOTHING
    """What a build may leave out."""
    environment: ClassVar[Mapping[str, str]] = {}
    """The environment of a container that serves its code."""

    def precision(self, asked: Precision) -> Precision:
        """Return what the code computes in, which decides what it is held to when it is verified."""
        return asked if asked in self.precisions else self.precisions[0]

    def lacks(self, target: TargetSpec, precision: Precision) -> str:
        """Return what a target lacks for a precision that others of its kind compute in; "" for nothing."""
        return ""

    def recorded(self, precision: Precision) -> Precision:
        """Return the precision whose tuning records code takes."""
        return precision

    def wants_narrow(self, target: TargetSpec) -> bool:
        """Return whether a target adds up products of 8-bit numbers faster where pairs of them fit in 16 bits."""
        return False

    @abstractmethod
    def describe(self, target: TargetSpec) -> str:
        """Return what a target's code is made for, in a few words."""

    def makers(self, target: TargetSpec) -> Mapping[str, str]:
        """Return the versions of the tools that decide the code's bytes, besides TVM and the linker."""
        return {}

    def heeded(self, options: BuildOptions) -> Mapping[str, Any]:
        """Return those of the options that decide the code's bytes, as an artifact's provenance lists them."""
        return {}

    def why_not_here(self, target_json: Path) -> str:
        """Return why this machine cannot run a compiled variant, which its processor can; "" where it can."""
        return ""

    def packing(self, targets: Sequence[TargetSpec], find_records: FindRecords) -> Any:
        """Return how the variants for `targets` pack their weights alike; None where each has its own way."""
        return None

    @abstractmethod
    def compiler(self, target: TargetSpec, options: BuildOptions) -> Compiler:
        """Return the compiler for a target. Raises what keeps that from being done on this machine."""

    @abstractmethod
    def require_measurable(self, target: TargetSpec, rpc_tracker: str | None, rpc_key: str) -> Mapping[str, str]:
        """Refuse a target whose code cannot be measured; return what a tuning log says of the device that measures.

        Nothing is said of this machine's processor. Raises UsageError, MachineError, LibraryMissing.
        """

    @abstractmethod
    def tuner(self, target: TargetSpec, precision: Precision) -> Tuner:
        """Return what tunes for a target. Raises TargetInvalid."""


class Compiler(ABC):
    """Compiles for one target."""

    why_unplanned: ClassVar[str] = ""
    """Why kernels cannot be called without TVM, so that programs get no plan; "" where they can."""

    @abstractmethod
    def __init__(self, target: TargetSpec, options: BuildOptions) -> None:
        self.target = target

    @abstractmethod
    def lower(self, networks: Networks, dump: Dump) -> tvm.IRModule:
        """Return one module of fused, unscheduled functions, from imported modules."""

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


class Tuner(ABC):
    """Searches the schedules of one target: lowering, the space that is searched, who measures, the limit."""

    bench: ClassVar[str]
    """The class whose methods a worker process is asked for, as "MODULE:CLASS" (`measure.worker_main`)."""

    def __init__(self, target: TargetSpec) -> None:
        self.target = target

    @abstractmethod
    def builders(self) -> int:
        """Return how many candidates are built side by side."""

    @abstractmethod
    def measurer(self, device: Mapping[str, str], rpc_tracker: str | None, rpc_key: str) -> Any:
        """Return a context whose value is a Measurer, on what `require_measurable` found."""

    @abstractmethod
    def lower(self, modules: Networks, choices: dict[str, str]) -> tvm.IRModule:
        """Return the network's functions, unscheduled, by the choices that were measured."""

    def measure_choices(
        self,
        modules: Networks,
        log: LogWriter,
        builder: Builder,
        measurer: Measurer,
        show: Callable[[str], None],
    ) -> None:
        """Measure what is chosen before lowering and nobody measured yet, into the log."""
        return

    @abstractmethod
    def search(self, task: Task, log: LogWriter, seed: int) -> Search:
        """Return the search of one task that the log knows."""

    def limit_flops(self, builder: Builder, measurer: Measurer) -> float:
        """Return the float operations a second that the machine does at most; 0 where that is not known."""
        return 0.0
