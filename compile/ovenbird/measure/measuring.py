"""Measuring candidates on this machine: alone, one after the other, in a process that is replaced when it dies.

    with LocalMeasurer(target) as measurer:
        measurer.measure(task, default, [library], rounds=3)      # an Outcome for each

Candidates are gone through in rounds, so that a burst of other load falls on all of them; a candidate's time is its
best round's median.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from ovenbird.measure.limits import HOPELESS_RATIO, ROTATION_BYTES_MIN, RUN_LIMIT_S
from ovenbird.measure.tasks import Argument, Task
from ovenbird.measure.worker import JobFailed, Worker, WorkerLost
from ovenbird.targets import TargetSpec
from ovenbird_runtime.machine.cpu import available_threads

SEED = 20


@dataclass(frozen=True)
class Outcome:
    """What measuring one candidate gave: its time, or why it failed, and where it ran."""

    seconds: float | None
    error: str = ""
    device: str = "local"


class Measurer(Protocol):
    """Times candidates of one task against its default schedule."""

    def measure(self, task: Task, default: Path, libraries: Sequence[Path], rounds: int) -> list[Outcome]:
        """Return the outcome of each library; `default` is the one of the default schedule,
        whose numbers count as right.
        """
        ...

    def limit(self, library: Path, lanes: int, cores: int) -> float:
        """Return the machine's arithmetic limit in float operations a second, by the library of `arithmetic.py`."""
        ...


class LocalMeasurer:
    """Measures in one worker process on this machine, with as many threads as the target has cores.

    `cache_bytes`: the last cache of what computes, which the weights of one call leave before the next.
    """

    def __init__(self, target: TargetSpec, worker: Worker | None = None, cache_bytes: int = 0) -> None:
        threads = str(min(target.cores, available_threads()))
        self._worker = worker or Worker({"TVM_NUM_THREADS": threads, "TVM_BIND_THREADS": "0"})
        self._prepared: tuple[int, Path, int] | None = None
        self._rotation = max(2 * (cache_bytes or target.l3_bytes), ROTATION_BYTES_MIN)

    def __enter__(self) -> LocalMeasurer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._worker.close()

    def limit(self, library: Path, lanes: int, cores: int) -> float:
        """Return the arithmetic limit, by running multiply-adds alone on all cores."""
        job = {"do": "limit", "library": str(library), "lanes": lanes, "cores": cores}
        return float(self._worker.request(job, RUN_LIMIT_S)["flops"])

    def measure(self, task: Task, default: Path, libraries: Sequence[Path], rounds: int) -> list[Outcome]:
        """Check every library, then time those that are right, round by round."""
        outcomes: dict[Path, Outcome] = {}
        best: dict[Path, float] = {}
        for library in libraries:
            answer = self._try(task, default, {"do": "check", "library": str(library)})
            if isinstance(answer, str) or answer["wrong"]:
                outcomes[library] = Outcome(None, answer if isinstance(answer, str) else answer["wrong"])
            else:
                best[library] = answer["seconds"]
        fastest = min(best.values(), default=0.0)
        for _ in range(rounds):
            for library in [path for path, seconds in best.items() if seconds <= HOPELESS_RATIO * fastest]:
                answer = self._try(task, default, {"do": "time", "library": str(library)})
                if isinstance(answer, str):
                    outcomes[library] = Outcome(None, answer)
                    del best[library]
                else:
                    best[library] = min(best[library], answer["seconds"])
                    fastest = min(fastest, best[library])
        return [outcomes.get(library) or Outcome(best[library]) for library in libraries]

    def _try(self, task: Task, default: Path, job: dict[str, Any]) -> dict[str, Any] | str:
        """Return the answer to a job about one candidate, or the reason of its failure."""
        try:
            self._prepare(task, default)
            return self._worker.request(job, RUN_LIMIT_S)
        except (WorkerLost, JobFailed) as error:
            return f"running: {error}"

    def _prepare(self, task: Task, default: Path) -> None:
        wanted = (task.index, default, self._worker.ensure())
        if self._prepared != wanted:
            self._prepared = None
            self._worker.request(
                {
                    "do": "prepare",
                    "arguments": [as_json(argument) for argument in task.arguments],
                    "outputs": [as_json(output) for output in task.outputs],
                    "seed": SEED,
                    "rotation_bytes": self._rotation,
                    "reference": str(default),
                },
                RUN_LIMIT_S,
            )
            self._prepared = wanted


def as_json(argument: Argument) -> list[Any]:
    """Return an argument as a worker takes it."""
    return [list(argument.shape), argument.dtype, argument.constant]
