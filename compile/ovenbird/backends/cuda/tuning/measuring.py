"""Measuring candidates on this machine's GPU: alone, one after the other, in a process that is replaced when it dies.

with GpuMeasurer(target, require_gpu(target).name, CudaTuner.bench) as measurer:
    measurer.measure(task, default, [library], rounds=3)      # an Outcome for each
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ovenbird.measure.limits import RUN_LIMIT_S
from ovenbird.measure.measuring import LocalMeasurer, Outcome
from ovenbird.measure.tasks import Task
from ovenbird.measure.worker import JobFailed, Worker, WorkerLost
from ovenbird.targets import TargetSpec


class GpuMeasurer(LocalMeasurer):
    """Measures in one worker process on the first GPU."""

    def __init__(self, target: TargetSpec, name: str, bench: str) -> None:
        super().__init__(target, Worker(bench=bench), cache_bytes=target.l2_bytes)
        self._name = name

    def measure(self, task: Task, default: Path, libraries: Sequence[Path], rounds: int) -> list[Outcome]:
        """Check every library, then time those that are right, round by round."""
        outcomes = super().measure(task, default, libraries, rounds)
        return [dataclasses.replace(outcome, device=self._name) for outcome in outcomes]

    def _try(self, task: Task, default: Path, job: dict[str, Any]) -> dict[str, Any] | str:
        """Return the answer to a job about one candidate, or the reason of its failure."""
        try:
            self._prepare(task, default)
            return self._worker.request(job, RUN_LIMIT_S)
        except WorkerLost as error:
            return f"running: {error}"
        except JobFailed as error:
            self._worker.close()  # after an error of the GPU every call of its process fails
            return f"running: {error}"
