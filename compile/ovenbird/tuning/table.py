"""What tuning shows while it runs: a live table on a terminal, plain lines elsewhere. On standard error.

with Display.choose(quiet=False) as display:
    display.update(TuningMoment(states=..., limit_flops=..., ...))
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Any

from ovenbird.tuning.scheduler import TaskState, latency_seconds

ROWS = 24
"""Rows of the live table; the tasks that take most of the time come first."""


@dataclass(frozen=True)
class TuningMoment:
    """A moment of a tuning run. Times in seconds; `seconds_left` None where neither trials nor time bound it."""

    doing: str
    states: Sequence[TaskState]
    entries: Sequence[str]
    limit_flops: float
    trials: int
    trials_wanted: int
    seconds_left: float | None


class Display:
    """Shows nothing; the base of the two that do."""

    def __enter__(self) -> Display:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def update(self, progress: TuningMoment) -> None:
        """Show a moment."""

    @staticmethod
    def choose(quiet: bool) -> Display:
        """Return the one that fits where standard error goes."""
        if quiet:
            return Display()
        return LiveTable() if sys.stderr.isatty() else PlainLines(sys.stderr)


class Stoppable(Display):
    """Ends a run at its next step once it was asked to: never inside TVM, which would make another error of it."""

    def __init__(self, shown: Display) -> None:
        self._shown = shown
        self._requested = False

    def stop(self, number: int) -> None:
        """End the run at its next step, as a signal of this number asks; asked again, at once.

        Raises KeyboardInterrupt.
        """
        if self._requested:
            raise KeyboardInterrupt
        self._requested = True

    def update(self, progress: TuningMoment) -> None:
        """Show a moment, or end the run. Raises KeyboardInterrupt."""
        if self._requested:
            raise KeyboardInterrupt
        self._shown.update(progress)


class PlainLines(Display):
    """One line whenever what is being done changes."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._start = time.monotonic()
        self._last = ""

    def update(self, progress: TuningMoment) -> None:
        """Print a line, unless nothing is new."""
        if progress.doing == self._last:
            return
        self._last = progress.doing
        parts = [progress.doing, f"{progress.trials}/{progress.trials_wanted} trials", *latencies(progress)]
        if progress.seconds_left is not None:
            parts.append(f"{clock(progress.seconds_left)} left")
        print(f"[{time.monotonic() - self._start:6.1f} s] {', '.join(parts)}", file=self._stream, flush=True)


class LiveTable(Display):
    """Rich's live table: one row a task."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._live: Any = Live(console=Console(stderr=True), auto_refresh=False)

    def __enter__(self) -> Display:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def update(self, progress: TuningMoment) -> None:
        """Draw the table anew."""
        self._live.update(build_table(progress), refresh=True)


def build_table(progress: TuningMoment) -> Any:
    """Return the table as rich draws it."""
    from rich.table import Table

    left = "" if progress.seconds_left is None else f" · {clock(progress.seconds_left)} left"
    table = Table(
        title=f"{progress.doing} · {progress.trials}/{progress.trials_wanted} trials{left}",
        caption=" · ".join([*latencies(progress), *known_limit(progress.limit_flops)]),
    )
    for name in HEADINGS:
        table.add_column(name, justify="left" if name in ("task", "shape") else "right")
    rows = table_rows(progress)
    for row in rows[:ROWS]:
        table.add_row(*row)
    if len(rows) > ROWS:
        table.add_row("", f"and {len(rows) - ROWS} smaller ones", *[""] * (len(HEADINGS) - 2))
    return table


def known_limit(limit_flops: float) -> list[str]:
    """Return the arithmetic limit in words; nothing where it is not known."""
    return [f"limit {limit_flops / 1e9:.0f} GFLOP/s"] if limit_flops else []


HEADINGS = ("task", "shape", "calls", "best ms", "GFLOP/s", "of limit", "gain", "trials", "failed", "of time")


def table_rows(progress: TuningMoment) -> list[tuple[str, ...]]:
    """Return one row of text a task, the one that takes most of the time first."""
    total = sum(state.weighted_seconds for state in progress.states) or 1.0
    rows: list[tuple[str, ...]] = []
    for state in sorted(progress.states, key=lambda one: -one.weighted_seconds):
        layer, share = state.task.layer, state.limit_share(progress.limit_flops)
        best, default = state.best_seconds, state.default_seconds
        rows.append(
            (
                f"{state.task.index} {layer.kind}",
                "x".join(map(str, layer.shape)),
                str(sum(state.task.calls.values())),
                "" if best is None else f"{best * 1e3:.3f}",
                f"{layer.flops / best / 1e9:.0f}" if best and layer.flops else "",
                "" if share is None else f"{share:.0%}",
                f"{default / best:.2f}x" if best and default else "",
                str(state.trials),
                str(state.failed) if state.failed else "",
                f"{state.weighted_seconds / total:.1%}",
            )
        )
    return rows


def latencies(progress: TuningMoment) -> list[str]:
    """For each entry: the sum of its calls now, and by the default schedules."""
    lines = []
    for entry in progress.entries:
        now, before = (latency_seconds(progress.states, entry, default) for default in (False, True))
        lines.append(f"{entry} {now * 1e3:.2f} ms (defaults {before * 1e3:.2f})")
    return lines


def clock(seconds: float) -> str:
    """Return seconds as 1:02:03 or 2:03."""
    minutes, rest = divmod(int(max(seconds, 0.0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
