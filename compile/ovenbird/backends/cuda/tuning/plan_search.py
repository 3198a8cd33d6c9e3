"""The search of one task's GPU plans: few enough to be listed, so they are tried in the order of the estimate.

    search = PlanSearch(task, chip, log)
    candidates = search.next_batch()          # plans that were never measured; none when all were

Each candidate is a schedule with its trace, as MetaSchedule's candidates are: logs, resuming and `compile` do not
distinguish them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tvm.s_tir import Schedule

from ovenbird.backends.cuda.chip import Chip
from ovenbird.backends.cuda.plans.plan import KernelPlan
from ovenbird.backends.cuda.plans.space import plan_space
from ovenbird.backends.cuda.schedules import apply_schedule
from ovenbird.measure.limits import BATCH_TRIALS
from ovenbird.measure.log_writer import LogWriter
from ovenbird.measure.measuring import Outcome
from ovenbird.measure.searching import Candidate
from ovenbird.measure.tasks import Task


class PlanSearch:
    """The search of one task."""

    def __init__(self, task: Task, chip: Chip, log: LogWriter) -> None:
        self.task = task
        self.log = log
        self.exhausted = False
        self._chip = chip
        self.plans = plan_space(Schedule(task.module), chip)
        self.default = self.candidate(self.plans[0])
        self._rest = self._untried()

    def candidate(self, plan: KernelPlan) -> Candidate:
        """Return the schedule that follows a plan. Raises TVM's errors where the function's shape does not allow it."""
        return Candidate(apply_schedule(Schedule(self.task.module), self._chip, plan), name=str(plan))

    def starts(self) -> list[Candidate]:
        """Return nothing: only the default begins a search of plans, and that is measured before all else."""
        return []

    def next_batch(self) -> list[Candidate]:
        """Return at most BATCH_TRIALS plans that were never measured; none when there are no more."""
        found = [candidate for _, candidate in zip(range(BATCH_TRIALS), self._rest, strict=False)]
        self.exhausted = not found
        return found

    def report(self, candidates: Sequence[Candidate], outcomes: Sequence[Outcome]) -> None:
        """Learn nothing: the order is the estimate's."""

    def key(self, candidate: Candidate) -> str:
        """Return the name of a candidate's trace in the log."""
        return self.log.key(self.task, candidate.schedule.trace)

    def _untried(self) -> Iterator[Candidate]:
        tried = {self.key(self.default)}
        for plan in self.plans[1:]:
            try:
                candidate = self.candidate(plan)
            except Exception:  # noqa: BLE001 - a plan that this function's shape does not allow is none of its plans
                continue
            key = self.key(candidate)
            if key not in tried and key not in self.log.tasks[self.task.index].times:
                tried.add(key)
                yield candidate
