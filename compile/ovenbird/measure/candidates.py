"""Building candidates: all of a batch before any is measured, one worker process a core, each with a time limit.

with Builder(target, folder, processes=2, bench=tuner.bench) as builder:
    builder.build([schedule.mod, ...])      # a library, or the reason why there is none, for each
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any

import tvm

from ovenbird.measure.limits import BUILD_LIMIT_S
from ovenbird.measure.worker import JobFailed, Worker, WorkerLost
from ovenbird.targets import TargetSpec


@dataclass(frozen=True)
class Built:
    """A candidate's library, or why it has none."""

    library: Path | None
    error: str = ""


def target_fields(target: TargetSpec) -> dict[str, Any]:
    """Return the target as a worker takes it."""
    return dataclasses.asdict(target)


class Builder:
    """Compiles scheduled modules into libraries in `folder`."""

    def __init__(self, target: TargetSpec, folder: Path, processes: int, bench: str) -> None:
        """Take the class that builds, as `measure.worker.Worker` takes it."""
        self._target = target_fields(target)
        self._folder = folder
        self._count = 0
        self._threads = ThreadPoolExecutor(processes)
        self._idle: SimpleQueue[Worker] = SimpleQueue()
        self._workers = [Worker({"OMP_NUM_THREADS": "1"}, bench) for _ in range(processes)]
        for worker in self._workers:
            self._idle.put(worker)

    def __enter__(self) -> Builder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.close()
        self._threads.shutdown(cancel_futures=True)

    def build(self, modules: Sequence[tvm.IRModule], done: Callable[[], None] = lambda: None) -> list[Built]:
        """Compile every module; returns when nothing is being built any more."""
        jobs = []
        for module in modules:
            self._count += 1
            path = self._folder / f"candidate{self._count}.so"
            jobs.append(self._threads.submit(self._build, tvm.ir.save_json(module), path, done))
        return [job.result() for job in jobs]

    def _build(self, module: str, path: Path, done: Callable[[], None]) -> Built:
        worker = self._idle.get()
        try:
            worker.request({"do": "build", "module": module, "target": self._target, "path": str(path)}, BUILD_LIMIT_S)
            return Built(path)
        except (WorkerLost, JobFailed) as error:
            return Built(None, f"building: {error}")
        finally:
            self._idle.put(worker)
            done()
