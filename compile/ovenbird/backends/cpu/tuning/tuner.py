"""MetaSchedule's search over the spaces of the schedules for processors.

tuner = CpuTuner(load_target("host"))
tasks = extract_tasks(tuner.lower(modules, {}), modules)
tuner.search(tasks[0], log, seed=0).next_batch()
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tvm

from ovenbird.backends.base import Tuner
from ovenbird.backends.cpu.machine import machine_of
from ovenbird.backends.cpu.pipeline import lower_networks
from ovenbird.backends.cpu.tuning.algorithms import Recorder, measure_algorithms
from ovenbird.backends.cpu.tuning.design_space import DesignSpaces
from ovenbird.backends.cpu.tuning.task_search import TaskSearch, new_cost_model
from ovenbird.lowering.entry_key import Networks
from ovenbird.measure.arithmetic import multiply_add_module
from ovenbird.measure.candidates import Builder
from ovenbird.measure.log_writer import LogWriter
from ovenbird.measure.measuring import LocalMeasurer, Measurer
from ovenbird.measure.remote import RemoteMeasurer, Tracker
from ovenbird.measure.searching import Search
from ovenbird.measure.tasks import Task
from ovenbird.targets import TargetSpec


class CpuTuner(Tuner):
    """Tunes for one processor; all tasks of a run share a cost model."""

    bench = "ovenbird.backends.cpu.tuning.bench:CpuBench"

    def __init__(self, target: TargetSpec) -> None:
        super().__init__(target)
        self.machine = machine_of(target)
        self._model = new_cost_model(target.cores)

    def builders(self) -> int:
        """Return one for each processor, where the target says how many there are here."""
        return max(self.target.cores if self.target.name == "host" else 1, 1)

    def measurer(
        self, device: Mapping[str, str], rpc_tracker: str | None, rpc_key: str
    ) -> LocalMeasurer | RemoteMeasurer:
        """Return one of this machine, or of the tracker's devices."""
        if rpc_tracker is not None:
            return RemoteMeasurer(self.target, Tracker(rpc_tracker, rpc_key))
        return LocalMeasurer(self.target)

    def lower(self, modules: Networks, choices: dict[str, str]) -> tvm.IRModule:
        """Return the network's functions by the algorithms that were chosen."""
        return lower_networks(modules, self.machine, Recorder(choices))

    def measure_choices(
        self,
        modules: Networks,
        log: LogWriter,
        builder: Builder,
        measurer: Measurer,
        show: Callable[[str], None],
    ) -> None:
        """Time every algorithm on the 3x3 convolutions that were not measured yet."""
        known = Recorder(log.choices)
        lower_networks(modules, self.machine, known)
        if known.missing:
            log.choose(measure_algorithms(known.missing, self.machine, builder, measurer, show))

    def search(self, task: Task, log: LogWriter, seed: int) -> Search:
        """Return the evolutionary search of one task."""
        spaces = DesignSpaces.of(task.module, self.machine)
        tvm_target: Any = self.target.tvm_target()
        return TaskSearch(task, spaces, tvm_target, log, self._model, self.target.cores, seed)

    def limit_flops(self, builder: Builder, measurer: Measurer) -> float:
        """Return the multiply-adds of all cores, measured; 0 where the function for it cannot be built."""
        lanes, cores = self.machine.lanes("float32"), self.machine.cores
        built = builder.build([multiply_add_module(lanes, cores)])[0]
        return measurer.limit(built.library, lanes, cores) if built.library is not None else 0.0
