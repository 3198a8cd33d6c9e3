"""What every search gives and takes: candidates batch by batch, and the outcome of each.

    candidates = search.next_batch()
    search.report(candidates, outcomes)

A backend has its own: `backends.cpu.tuning.task_search`, `backends.cuda.tuning.plan_search`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tvm.s_tir import Schedule

from ovenbird.measure.measuring import Outcome


@dataclass(frozen=True)
class Candidate:
    """One point of a design space: its schedule, what MetaSchedule knows it by, and a name where it has one."""

    schedule: Schedule
    handle: Any = None
    name: str = ""


class Search(Protocol):
    """The search of one task: asked for candidates batch by batch, given the outcome of each."""

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
