"""One tuning run: a batch of one task is searched, built, measured, recorded; then the next task is chosen.

    session = Session(tasks, selected, tuner, log, builder, measurer, display, Budget(trials=500))
    session.run()
    session.save()

Trial 0 of every task is its default schedule, so what is recorded is never slower than no tuning. A new best is timed
again in turn with the one before it and the default, and that second time is what counts.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ovenbird.backends.base import Tuner
from ovenbird.errors import MeasurementFailed
from ovenbird.measure.candidates import Builder
from ovenbird.measure.limits import BATCH_TRIALS, CONFIRM_ROUNDS, ROUNDS
from ovenbird.measure.log_writer import LogWriter
from ovenbird.measure.measuring import Measurer, Outcome
from ovenbird.measure.searching import Candidate
from ovenbird.measure.tasks import Task
from ovenbird.tuning.scheduler import TaskState, choose_task, latency_seconds
from ovenbird.tuning.table import Display, TuningMoment


@dataclass(frozen=True)
class Budget:
    """When to stop: `trials` in all, those of earlier runs included; `deadline` on the monotonic clock."""

    trials: int
    deadline: float | None = None

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return self.deadline is not None and time.monotonic() >= self.deadline


class Session:
    """Tunes the tasks of one network for one target."""

    def __init__(
        self,
        tasks: Sequence[Task],
        selected: Sequence[Task],
        tuner: Tuner,
        log: LogWriter,
        builder: Builder,
        measurer: Measurer,
        display: Display,
        budget: Budget,
        seed: int = 0,
    ) -> None:
        self.log, self.builder, self.measurer, self.display, self.budget = log, builder, measurer, display, budget
        batches = {entry: batch for task in tasks for entry, batch in task.batches.items()}
        self.entries = sorted(batches, key=lambda entry: batches[entry])
        self.limit_flops = 0.0
        self.doing = "starting"
        self._begun = time.monotonic()
        self._begun_trials = 0
        self._libraries: dict[tuple[int, str], Path] = {}
        self._defaults: dict[int, Path] = {}
        log.register(tasks)
        self.tuner = tuner
        chosen = {task.index for task in selected}
        self.states = [
            TaskState(task, self.tuner.search(task, log, seed + task.index), selected=task.index in chosen)
            for task in tasks
        ]
        for state in self.states:
            self._recall(state)

    @property
    def trials(self) -> int:
        """Trials of all tasks, those of earlier runs included."""
        return sum(state.trials for state in self.states)

    def run(self) -> None:
        """Tune until the trials or the time are used up, or nothing is left to try. Raises MeasurementFailed."""
        self._begun_trials = self.trials
        self._show("measuring the arithmetic limit")
        self._measure_limit()
        self._measure_defaults()
        while self.trials < self.budget.trials and not self.budget.over:
            state = choose_task(self.states, self.limit_flops)
            if state is None:
                break
            self._show(f"searching {state.task.title}")
            candidates = state.search.next_batch()[: self.budget.trials - self.trials]
            if candidates:
                self._measure(state, candidates)
        self._show("done")

    def save(self) -> None:
        """Write what is known of every task next to the records."""
        provenance = self.log.provenance
        provenance.trials = self.trials
        provenance.latency_ms = {
            entry: {
                "default": round(latency_seconds(self.states, entry, default=True) * 1e3, 4),
                "tuned": round(latency_seconds(self.states, entry) * 1e3, 4),
            }
            for entry in self.entries
        }
        provenance.tasks = [self._describe(state) for state in self.states]
        self.log.save()

    def _describe(self, state: TaskState) -> dict[str, Any]:
        task = state.task
        share = state.limit_share(self.limit_flops)
        return {
            "task": task.title,
            "workload": task.workload_hash,
            "flops": task.layer.flops,
            "calls": task.calls,
            "trials": state.trials,
            "failed": state.failed,
            "default_ms": None if state.default_seconds is None else round(state.default_seconds * 1e3, 5),
            "best_ms": None if state.best_seconds is None else round(state.best_seconds * 1e3, 5),
            "share_of_limit": None if share is None else round(share, 3),
        }

    def _recall(self, state: TaskState) -> None:
        """Take over what earlier runs measured."""
        known = self.log.tasks[state.task.index]
        state.best_seconds = self.log.best_seconds(state.task)
        default = known.times.get(state.search.key(state.search.default))
        state.default_seconds = default
        if default is None:
            state.best_seconds = None  # the default is measured before anything else is believed
        state.trials = len(known.times)
        state.failed = sum(seconds > 1e9 for seconds in known.times.values())

    def _measure_limit(self) -> None:
        """Find out what the machine could do at most; without an answer shares of it are not shown."""
        self.limit_flops = self.tuner.limit_flops(self.builder, self.measurer)
        self.log.provenance.arithmetic_limit_gflops = round(self.limit_flops / 1e9, 1)

    def _measure_defaults(self) -> None:
        """Trial 0 of every task that has none yet: all are built, then all are measured."""
        missing = [state for state in self.states if state.default_seconds is None]
        self._show(f"building {len(missing)} default schedules")
        starts = [state.search.default for state in missing]
        builds = self.builder.build([start.schedule.mod for start in starts])
        for state, start, built in zip(missing, starts, builds, strict=True):
            if built.library is None:
                raise MeasurementFailed(f"the default schedule of {state.task.title} failed: {built.error}")
            self._defaults[state.task.index] = built.library
            self._show(f"measuring the default of {state.task.title}")
            outcome = self.measurer.measure(state.task, built.library, [built.library], ROUNDS)[0]
            if outcome.seconds is None:
                raise MeasurementFailed(f"the default schedule of {state.task.title} failed: {outcome.error}")
            self._record(state, [start], [outcome])
            state.default_seconds = outcome.seconds
            self.save()
            if self.budget.over:
                return

    def _measure(self, state: TaskState, candidates: Sequence[Candidate]) -> None:
        """Build a batch, measure it, record it; then look twice at what seems to be a new best."""
        others = state.search.starts()[:BATCH_TRIALS] if state.trials <= 1 else []
        batch = [*others, *candidates][: max(self.budget.trials - self.trials, 1)]
        default = self._default(state)
        self._show(f"building {len(batch)} schedules of {state.task.title}")
        builds = self.builder.build([candidate.schedule.mod for candidate in batch])
        libraries = [built.library for built in builds if built.library is not None]
        self._show(f"measuring {len(libraries)} schedules of {state.task.title}")
        measured = iter(self.measurer.measure(state.task, default, libraries, ROUNDS))
        outcomes = [Outcome(None, built.error) if built.library is None else next(measured) for built in builds]
        best_before = state.best_seconds or float("inf")
        keys = self._record(state, batch, outcomes)
        for key, built in zip(keys, builds, strict=True):
            if built.library is not None:
                self._libraries[state.task.index, key] = built.library
        if any(outcome.seconds is not None and outcome.seconds < best_before for outcome in outcomes):
            self._confirm(state, batch, outcomes, keys)
        self._forget(state)
        self.save()

    def _confirm(
        self, state: TaskState, batch: Sequence[Candidate], outcomes: Sequence[Outcome], keys: Sequence[str]
    ) -> None:
        """Time the three fastest of a batch, the best before it and the default once more, in alternation."""
        known = self.log.tasks[state.task.index]
        start = state.search.default
        contenders: dict[str, Any] = {state.search.key(start): start.schedule.trace}
        fastest = sorted(
            (outcome.seconds, index) for index, outcome in enumerate(outcomes) if outcome.seconds is not None
        )
        for _, index in fastest[:3]:
            contenders[keys[index]] = batch[index].schedule.trace
        for key in sorted(known.times, key=known.times.__getitem__)[:4]:
            if (state.task.index, key) in self._libraries:
                contenders.setdefault(key, known.record(key).trace)
        default = self._default(state)
        libraries = [self._libraries.get((state.task.index, key), default) for key in contenders]
        self._show(f"confirming the best of {state.task.title}")
        times = self.measurer.measure(state.task, default, libraries, CONFIRM_ROUNDS)
        for trace, outcome in zip(contenders.values(), times, strict=True):
            self.log.add(state.task, trace, outcome)
            if trace is start.schedule.trace and outcome.seconds is not None:
                state.default_seconds = outcome.seconds
        self.log.flush()
        state.best_seconds = self.log.best_seconds(state.task)

    def _record(self, state: TaskState, batch: Sequence[Candidate], outcomes: Sequence[Outcome]) -> list[str]:
        """Write a batch to the disk, then teach the cost model."""
        keys = []
        for candidate, outcome in zip(batch, outcomes, strict=True):
            keys.append(self.log.add(state.task, candidate.schedule.trace, outcome, candidate.name))
            devices = self.log.provenance.devices
            devices[outcome.device] = devices.get(outcome.device, 0) + 1
        self.log.flush()
        state.search.report(batch, outcomes)
        failed = sum(outcome.seconds is None for outcome in outcomes)
        state.update(self.log.best_seconds(state.task), len(batch), failed)
        return keys

    def _default(self, state: TaskState) -> Path:
        """Return the library of a task's default schedule, built again after a resume."""
        if state.task.index not in self._defaults:
            built = self.builder.build([state.search.default.schedule.mod])[0]
            if built.library is None:
                raise MeasurementFailed(f"the default schedule of {state.task.title} failed: {built.error}")
            self._defaults[state.task.index] = built.library
        return self._defaults[state.task.index]

    def _forget(self, state: TaskState) -> None:
        """Remove libraries that will not be measured again: all but the fastest few."""
        known = self.log.tasks[state.task.index]
        kept = set(sorted(known.times, key=known.times.__getitem__)[:4])
        for index, key in [one for one in self._libraries if one[0] == state.task.index and one[1] not in kept]:
            self._libraries.pop((index, key)).unlink(missing_ok=True)

    def _show(self, doing: str) -> None:
        self.doing = doing
        self.display.update(
            TuningMoment(
                doing,
                self.states,
                self.entries,
                self.limit_flops,
                self.trials,
                self.budget.trials,
                self._seconds_left(),
            )
        )

    def _seconds_left(self) -> float | None:
        """By the time budget, or by the rate of trials so far, whichever ends first."""
        now = time.monotonic()
        found = [] if self.budget.deadline is None else [self.budget.deadline - now]
        done = self.trials - self._begun_trials
        if done > 0:
            found.append((self.budget.trials - self.trials) * (now - self._begun) / done)
        return min(found, default=None)
