"""MetaSchedule's evolutionary search over one task's design spaces, asked for candidates batch by batch.

    search = TaskSearch(task, spaces, tvm_target, log, model, threads=2, seed=0)
    candidates = search.next_batch()          # schedules that were never measured, the default first of all
    search.report(candidates, outcomes)

MetaSchedule's own task scheduler is not used: it builds while it measures, and writes its records late.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from tvm.s_tir import meta_schedule as ms
from tvm.s_tir.meta_schedule import _ffi_api
from tvm.s_tir.meta_schedule.logging import get_logging_func

from ovenbird.backends.cpu.tuning.design_space import DesignSpaces
from ovenbird.measure.limits import BATCH_TRIALS, FAILED_S, POPULATION, WARMUP_RECORDS
from ovenbird.measure.log_writer import LogWriter
from ovenbird.measure.measuring import Outcome
from ovenbird.measure.searching import Candidate
from ovenbird.measure.tasks import Task

EMPTY_BATCHES = 2
"""Batches without a new schedule after which a space counts as exhausted."""

LEARNT_RECORDS = 64
"""Records of earlier runs that the cost model learns from, for each task."""

LOGGER = logging.getLogger("ovenbird.tuning.metaschedule")
LOGGER.addHandler(logging.NullHandler())
LOGGER.propagate = False


def new_cost_model(cores: int) -> Any:
    """Return the XGBoost model that ranks candidates; all tasks of a run teach it."""
    return ms.cost_model.XGBModel(num_warmup_samples=WARMUP_RECORDS, num_tuning_cores=cores, verbose_eval=1 << 30)


class SearchContext(ms.TuneContext):  # type: ignore[misc]
    """MetaSchedule's context of one search, without the half minute that its own constructor spends.

    That imports the tensor instructions of every GPU; the schedules of CPUs name none.
    """

    def __init__(self, *fields: Any) -> None:
        self.__init_handle_by_constructor__(_ffi_api.TuneContext, *fields, get_logging_func(LOGGER))
        _ffi_api.TuneContextInitialize(self)


class TaskSearch:
    """The search of one task."""

    def __init__(
        self, task: Task, spaces: DesignSpaces, target: Any, log: LogWriter, model: Any, threads: int, seed: int
    ) -> None:
        self.task = task
        self.spaces = spaces
        self.log = log
        self.model = model
        self.exhausted = False
        strategy = ms.search_strategy.EvolutionarySearch(population_size=POPULATION)
        self._context = SearchContext(task.module, target, spaces.generator, strategy, task.title, threads, seed + 1)
        self._begun = False

    @property
    def default(self) -> Candidate:
        """The default schedule."""
        return Candidate(self.spaces.starts[0])

    def starts(self) -> list[Candidate]:
        """Return the first point of every space, the default schedule first, without
        those that were measured before.
        """
        return [one for one in (Candidate(start) for start in self.spaces.starts) if not self._measured(one)]

    def next_batch(self) -> list[Candidate]:
        """Return at most BATCH_TRIALS schedules that were never measured; none when the search is exhausted."""
        if not self.spaces.has_choice:
            self.exhausted = True
            return []
        if not self._begun:
            self._begin()
        for _ in range(EMPTY_BATCHES):
            handles = self._context.generate_measure_candidates() or []
            fresh, known = [], set()
            for handle in handles:
                candidate = Candidate(handle.sch, handle)
                key = self.key(candidate)
                if key not in known and not self._measured(candidate):
                    known.add(key)
                    fresh.append(candidate)
            self._context.notify_runner_results(handles, [ms.runner.RunnerResult([FAILED_S], None) for _ in handles])
            if fresh:
                return fresh
        self.exhausted = True
        return []

    def report(self, candidates: Sequence[Candidate], outcomes: Sequence[Outcome]) -> None:
        """Teach the cost model what was measured."""
        known = self.log.tasks[self.task.index]
        handles = [
            one.handle or ms.search_strategy.MeasureCandidate(one.schedule, known.arguments) for one in candidates
        ]
        results = [
            ms.runner.RunnerResult(None if outcome.seconds is None else [outcome.seconds], outcome.error or None)
            for outcome in outcomes
        ]
        if handles:
            self.model.update(self._context, handles, results)

    def _begin(self) -> None:
        """Teach the model what earlier runs measured, then start the search from the best of it."""
        known = self.log.tasks[self.task.index]
        times = list(known.times.items())[-LEARNT_RECORDS:]
        handles = [known.record(key).as_measure_candidate() for key, _ in times]
        results = [ms.runner.RunnerResult([seconds], None) for _, seconds in times]
        if handles:
            self.model.update(self._context, handles, results)
        self._context.pre_tuning(1 << 20, BATCH_TRIALS, database=self.log.database, cost_model=self.model)
        self._begun = True

    def key(self, candidate: Candidate) -> str:
        """Return the name of a candidate's trace in the log."""
        return self.log.key(self.task, candidate.schedule.trace)

    def _measured(self, candidate: Candidate) -> bool:
        return self.key(candidate) in self.log.tasks[self.task.index].times
