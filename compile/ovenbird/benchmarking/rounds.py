"""The rounds: every engine in a fresh process, one alive at a time, in an order that rotates from round to round.

    measured = measure_case(BenchCase("resnet50", batch=1, threads=2), folder, engines, rounds=5, ...)
    measured.answers["ort"]             # one Answer a round
    measured.skipped["torch-jit"]       # why an engine is not among them

Round 0 is not counted: it fills the page cache and inductor's code cache, finds engines that do not start, and checks
that all outputs agree. They are checked again in every round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ovenbird.benchmarking.agreement import Expected
from ovenbird.benchmarking.engines import OWN, OWN_UNTUNED, BenchEngine
from ovenbird.benchmarking.jobs import DEFAULT_SECONDS, MAX_RUNS, Answer, Job, Runs
from ovenbird.benchmarking.machine.neighbours import busy_neighbours
from ovenbird.benchmarking.worker_processes import run_worker
from ovenbird.errors import EngineFailed, NoPeers, OutputsDisagree

RUN_LIMIT_S = 120.0
"""What a round's runs may take on top of an engine's start."""


@dataclass(frozen=True)
class BenchCase:
    """What is timed: a network at a batch size, on a number of threads; `image_size` where it is not the usual one.

    `neighbours`: threads of others that are busy on the same processors meanwhile.
    """

    model: str
    batch: int
    threads: int
    image_size: int | None = None
    neighbours: int = 0

    @property
    def label(self) -> str:
        """The case in words, as in `resnet50 at 320, batch 8, 2 threads`."""
        size = f" at {self.image_size}" if self.image_size else ""
        found = f"{self.model}{size}, batch {self.batch}, {self.threads} thread{'s' if self.threads > 1 else ''}"
        busy = f"{self.neighbours} busy neighbour{'s' if self.neighbours > 1 else ''}"
        return f"{found}, {busy}" if self.neighbours else found


@dataclass
class MeasuredCase:
    """What the rounds of one case gave: answers by engine, one a round; largest errors; who was left out and why."""

    case: BenchCase
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    errors: dict[str, float] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


def rotated(names: Sequence[str], turn: int) -> list[str]:
    """Return the order of round `turn`: each engine comes first, second ... equally often."""
    start = turn % len(names)
    return [*names[start:], *names[:start]]


def measure_case(
    case: BenchCase,
    folder: Path,
    engines: Sequence[BenchEngine],
    rounds: int,
    runs: Runs,
    step: Callable[[str, int, int], None],
) -> MeasuredCase:
    """Check, then time. Raises OutputsDisagree (nothing is compared then), NoPeers, EngineFailed for our own engine."""
    measured = MeasuredCase(case)
    expected = Expected.read(folder, case.batch)

    def run(engine: BenchEngine, runs: Runs) -> Answer:
        job = Job(engine.name, str(folder), case.batch, case.threads, runs, precision=expected.precision)
        answer, outputs = run_worker(job, engine.start_limit_s + (0 if runs.repeat == 0 else run_limit(runs)))
        error = expected.check(engine.name, outputs)
        measured.errors[engine.name] = max(error, measured.errors.get(engine.name, 0.0))
        return answer

    alive: dict[str, BenchEngine] = {}
    for engine in engines:
        step(f"{case.label}: checking outputs, {engine.title}", 0, 0)
        try:
            run(engine, Runs(repeat=0))
        except EngineFailed as error:
            if engine.name in (OWN, OWN_UNTUNED):
                raise
            measured.skipped[engine.name] = str(error)
        except OutputsDisagree as error:
            if not engine.converted:
                raise
            measured.skipped[engine.name] = str(error)
        else:
            alive[engine.name] = engine
    if not set(alive) - {OWN, OWN_UNTUNED}:
        raise NoPeers(f"{case.label}: no peer to compare with: {'; '.join(measured.skipped.values())}")
    measured.answers = {name: [] for name in alive}
    with busy_neighbours(case.neighbours, case.threads):
        for turn in range(rounds):
            for done, name in enumerate(rotated(list(alive), turn)):
                step(f"{case.label}: timing", turn * len(alive) + done, rounds * len(alive))
                measured.answers[name].append(run(alive[name], runs))
    step(f"{case.label}: timing", rounds * len(alive), rounds * len(alive))
    return measured


def run_limit(runs: Runs) -> float:
    """Return the seconds that a round's runs may take: more where more were asked for than usual."""
    usual = (runs.repeat or MAX_RUNS) + (runs.warmup or 0)
    return RUN_LIMIT_S * max(1.0, usual / MAX_RUNS, runs.seconds / DEFAULT_SECONDS)
