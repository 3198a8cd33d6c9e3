"""What tuning does differently for a processor and for a GPU: lowering, the space that is searched, the limit.

backend = backend_of(load_target("cuda-sm90"), precision="float16")
tasks = extract_tasks(backend.lower(modules, {}))
backend.search(tasks[0], log, seed=0).next_batch()
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import tvm

from ovenbird.backends.cpu.machine import machine_of
from ovenbird.backends.cuda.options import Precision
from ovenbird.targets import TargetSpec
from ovenbird.tuning.log_writer import LogWriter
from ovenbird.tuning.measure.candidates import Builder
from ovenbird.tuning.measure.measuring import Measurer, Outcome
from ovenbird.tuning.search.task_search import Candidate, TaskSearch, new_cost_model
from ovenbird.tuning.tasks import Task


class Search(Protocol):
    """The search of one task: asked for candidates batch by batch, given what each measured."""

    exhausted: bool

    @property
    def default(self) -> Candidate:
        """The default schedule: trial 0."""
        ...

    def starts(self) -> list[Candidate]:
        """Return what is measured with the first batch, besides the default."""
        ...

    def next_batch(self) -> list[Candidate]:
        """Return schedules that were never measured; none when the search is exhausted."""
        ...

    def report(self, candidates: Sequence[Candidate], outcomes: Sequence[Outcome]) -> None:
        """Learn from what was measured."""
        ...

    def key(self, candidate: Candidate) -> str:
        """Return the name of a candidate's trace in the log."""
        ...


class Backend(Protocol):
    """One kind of target."""

    def lower(self, modules: dict[int, tvm.IRModule], choices: dict[str, str]) -> tvm.IRModule:
        """Return the network's functions, unscheduled, by the choices that were measured."""
        ...

    def measure_choices(
        self,
        modules: dict[int, tvm.IRModule],
        log: LogWriter,
        builder: Builder,
        measurer: Measurer,
        show: Callable[[str], None],
    ) -> None:
        """Measure what is chosen before lowering and nobody measured yet, into the log."""
        ...

    def search(self, task: Task, log: LogWriter, seed: int) -> Search:
        """Return the search of one task that the log knows."""
        ...

    def limit_flops(self, builder: Builder, measurer: Measurer) -> float:
        """Return the float operations a second that the machine does at most; 0 where that is not known."""
        ...


class ProcessorBackend:
    """MetaSchedule's search over the spaces of the CPU schedules."""

    def __init__(self, spec: TargetSpec) -> None:
        self.spec = spec
        self.machine = machine_of(spec)
        self._model = new_cost_model(spec.cores)

    def lower(self, modules: dict[int, tvm.IRModule], choices: dict[str, str]) -> tvm.IRModule:
        """Return the network's functions by the algorithms that were chosen."""
        from ovenbird.backends.cpu.pipeline import lower_networks
        from ovenbird.tuning.search.algorithms import Recorder

        return lower_networks(modules, self.machine, Recorder(choices))

    def measure_choices(
        self,
        modules: dict[int, tvm.IRModule],
        log: LogWriter,
        builder: Builder,
        measurer: Measurer,
        show: Callable[[str], None],
    ) -> None:
        """Time every algorithm on the 3x3 convolutions that were not measured yet."""
        from ovenbird.backends.cpu.pipeline import lower_networks
        from ovenbird.tuning.search.algorithms import Recorder, measure_algorithms

        known = Recorder(log.choices)
        lower_networks(modules, self.machine, known)
        if known.missing:
            log.choose(measure_algorithms(known.missing, self.machine, builder, measurer, show))

    def search(self, task: Task, log: LogWriter, seed: int) -> Search:
        """Return the evolutionary search of one task; all of a run share a cost model."""
        from ovenbird.tuning.search.design_space import DesignSpaces

        spaces = DesignSpaces.of(task.module, self.machine)
        return TaskSearch(task, spaces, self.spec.tvm_target(), log, self._model, self.spec.cores, seed)

    def limit_flops(self, builder: Builder, measurer: Measurer) -> float:
        """Return the multiply-adds of all cores, measured; 0 where the function for it cannot be built."""
        from ovenbird.tuning.measure.arithmetic import multiply_add_module

        lanes, cores = self.machine.lanes(), self.machine.cores
        built = builder.build([multiply_add_module(lanes, cores)])[0]
        return measurer.limit(built.library, lanes, cores) if built.library is not None else 0.0


class GpuBackend:
    """All plans of the GPU schedules, in the order of their estimate. Nothing is chosen before lowering."""

    def __init__(self, spec: TargetSpec, precision: Precision) -> None:
        from ovenbird.backends.cuda.chip import chip_of
        from ovenbird.backends.cuda.schedules.intrinsics import wmma_group

        if precision == "float16":
            wmma_group()  # the instructions that the traces of an earlier run name
        self.chip = chip_of(spec)
        self.precision = precision

    def lower(self, modules: dict[int, tvm.IRModule], choices: dict[str, str]) -> tvm.IRModule:
        """Return the network's functions in the precision asked for."""
        from ovenbird.backends.cuda.pipeline import lower_networks

        return lower_networks(modules, self.precision)

    def measure_choices(self, *_: Any) -> None:
        """Nothing to choose."""

    def search(self, task: Task, log: LogWriter, seed: int) -> Search:
        """Return the plans of one task."""
        from ovenbird.tuning.search.plan_search import PlanSearch

        return PlanSearch(task, self.chip, log)

    def limit_flops(self, builder: Builder, measurer: Measurer) -> float:
        """Not known: what a chip's multiply-adds and tensor cores do at most is not measured."""
        return 0.0


def backend_of(spec: TargetSpec, precision: Precision = "float32") -> Backend:
    """Return the backend of a target. Raises TargetInvalid."""
    return GpuBackend(spec, precision) if spec.kind == "cuda" else ProcessorBackend(spec)
