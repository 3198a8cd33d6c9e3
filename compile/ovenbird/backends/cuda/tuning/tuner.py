"""All plans of the schedules for a GPU, in the order of their estimate. Nothing is chosen before lowering.

tuner = CudaTuner(load_target("cuda-sm90"), "f16")
tuner.search(task, log, seed=0).next_batch()
"""

from __future__ import annotations

from collections.abc import Mapping

import tvm

from ovenbird.backends.base import Tuner
from ovenbird.backends.cuda.chip import chip_of
from ovenbird.backends.cuda.dtypes import DTYPES
from ovenbird.backends.cuda.pipeline import lower_networks
from ovenbird.backends.cuda.schedules.intrinsics import wmma_group
from ovenbird.backends.cuda.tuning.measuring import GpuMeasurer
from ovenbird.backends.cuda.tuning.plan_search import PlanSearch
from ovenbird.lowering.entry_key import Networks
from ovenbird.measure.log_writer import LogWriter
from ovenbird.measure.searching import Search
from ovenbird.measure.tasks import Task
from ovenbird.targets import TargetSpec
from ovenbird_runtime.machine.cpu import available_threads
from ovenbird_runtime.manifest.agreement import Precision


class CudaTuner(Tuner):
    """Tunes for one chip. What it does at most is not known: its multiply-adds and tensor cores are not measured."""

    bench = "ovenbird.backends.cuda.tuning.bench:GpuBench"

    def __init__(self, target: TargetSpec, precision: Precision) -> None:
        super().__init__(target)
        self.chip, self.dtype = chip_of(target), DTYPES[precision]
        if self.dtype == "float16":
            wmma_group()  # the instructions that the traces of an earlier run name

    def builders(self) -> int:
        """Return one for each processor of this machine: measuring needs none of them."""
        return available_threads()

    def measurer(self, device: Mapping[str, str], rpc_tracker: str | None, rpc_key: str) -> GpuMeasurer:
        """Return one of the first GPU."""
        return GpuMeasurer(self.target, device["name"], self.bench)

    def lower(self, modules: Networks, choices: dict[str, str]) -> tvm.IRModule:
        """Return the network's functions in the precision asked for."""
        return lower_networks(modules, self.dtype)

    def search(self, task: Task, log: LogWriter, seed: int) -> Search:
        """Return the plans of one task."""
        return PlanSearch(task, self.chip, log)
