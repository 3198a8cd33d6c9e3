"""What a long step shows: a moving line on a terminal, one plain line a step elsewhere. Always on standard error.

with Progress.choose(quiet=False) as progress:
    progress("importing resnet50 for batch 8", 1, 2)
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import IO, Any


class Progress:
    """Shows nothing; the base of the two that do. Called with a step's text, how many are done and of how many."""

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def __call__(self, text: str, done: int = 0, total: int = 0) -> None:
        """Say which step begins: `done` of `total` (0: unknown) are behind us."""

    @staticmethod
    def choose(quiet: bool) -> Progress:
        """Return the one that fits where standard error goes."""
        if quiet:
            return Progress()
        return TerminalProgress() if sys.stderr.isatty() else PlainProgress(sys.stderr)


class PlainProgress(Progress):
    """One line a step, with the seconds since the start; a counted step is reported at each tenth."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._start = time.monotonic()
        self._last = ("", -1)

    def __call__(self, text: str, done: int = 0, total: int = 0) -> None:
        """Print the step, unless that line stands there already."""
        tenth = done * 10 // total if total else 0
        if (text, tenth) == self._last:
            return
        self._last = (text, tenth)
        count = f" {done}/{total}" if total > 1 else ""
        print(f"[{time.monotonic() - self._start:6.1f} s] {text}{count}", file=self._stream, flush=True)


class TerminalProgress(Progress):
    """Rich's bar: the running step, its share, the time; finished steps stay above it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        self._bar: Any = Bar(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
        )
        self._task: Any = None
        self._text = ""

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._finish()
        self._bar.stop()

    def __call__(self, text: str, done: int = 0, total: int = 0) -> None:
        """Move the bar, or begin the next one."""
        from rich.markup import escape

        if text != self._text or self._task is None:
            self._finish()
            self._task = self._bar.add_task(escape(text), total=total or 1)
            self._text = text
        self._bar.update(self._task, completed=done, total=total or 1)

    def _finish(self) -> None:
        if self._task is not None:
            total = self._bar.tasks[self._bar.task_ids.index(self._task)].total
            self._bar.update(self._task, completed=total)
