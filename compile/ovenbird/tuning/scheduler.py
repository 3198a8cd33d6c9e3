"""Which task is worth the next batch: the one whose best schedule promises to save the network most.

    choose_task(states, limit_flops)      # None when every search is exhausted

Expected gain = the task's share of the network's time x its headroom to the arithmetic limit x what its last batches
without progress leave of our trust in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ovenbird.measure.limits import IMPROVEMENT, PATIENCE_DECAY, UNKNOWN_HEADROOM
from ovenbird.measure.tasks import Task

if TYPE_CHECKING:
    from ovenbird.measure.searching import Search

LEAST_HEADROOM = 0.02
"""Even at the limit a measurement may be off by this much, so no task's headroom is nothing."""


@dataclass
class TaskState:
    """One task while it is tuned. Times in seconds."""

    task: Task
    search: Search
    default_seconds: float | None = None
    best_seconds: float | None = None
    barren_batches: int = 0
    trials: int = 0
    failed: int = 0
    selected: bool = True

    @property
    def weighted_seconds(self) -> float:
        """The task's time for one image, over all its calls."""
        return self.task.images_weight * (self.best_seconds or 0.0)

    def limit_share(self, limit_flops: float) -> float | None:
        """Return the share of the arithmetic limit that the best schedule reaches; None without arithmetic."""
        if not self.task.layer.flops or not self.best_seconds or not limit_flops:
            return None
        return self.task.layer.flops / self.best_seconds / limit_flops

    def expected_gain(self, limit_flops: float) -> float:
        """Return the seconds for one image that more trials may save."""
        share = self.limit_share(limit_flops)
        headroom = UNKNOWN_HEADROOM if share is None else max(1.0 - share, LEAST_HEADROOM)
        return self.weighted_seconds * headroom * PATIENCE_DECAY**self.barren_batches

    def update(self, best_seconds: float | None, trials: int, failed: int) -> None:
        """Take in a batch."""
        before = self.best_seconds
        progress = before is None or (best_seconds is not None and best_seconds < before * (1 - IMPROVEMENT))
        self.barren_batches = 0 if progress else self.barren_batches + 1
        self.best_seconds = best_seconds
        self.trials += trials
        self.failed += failed


def choose_task(states: Sequence[TaskState], limit_flops: float) -> TaskState | None:
    """Return the selected task of most expected gain whose search is not exhausted."""
    open_states = [
        state for state in states if state.selected and not state.search.exhausted and state.best_seconds is not None
    ]
    return max(open_states, key=lambda state: state.expected_gain(limit_flops), default=None)


def latency_seconds(states: Sequence[TaskState], entry: str, default: bool = False) -> float:
    """Return the sum of all calls of one entry, by each task's best schedule, or by its default."""
    return sum(
        state.task.calls.get(entry, 0) * ((state.default_seconds if default else state.best_seconds) or 0.0)
        for state in states
    )
