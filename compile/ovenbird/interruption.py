"""Ctrl-C, SIGTERM and a closed terminal: all unwind the work, so that what was begun is removed, and none is lost.

    with unwinding(), Interruption(progress) as tell:       # a whole command, and a piece of work within it
        tell("building", 0, 2)      # raises KeyboardInterrupt, or Stopped, where a signal came in the meantime

An exception that Python happens to raise inside a callback (a finalizer, a fork's hooks) is printed and dropped;
hence the signal is remembered as well, and the next step of the progress ends the work.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

from ovenbird.progress import Progress

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """A signal came. Not a KeyboardInterrupt: where that passes through C code which runs Python, as imports of large
    libraries do, Python remembers it, and ends the process by a signal of its own after it was caught.
    """


@contextlib.contextmanager
def unwinding() -> Iterator[None]:
    """Let the signals raise Stopped, but those that are ignored (`nohup`)."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped

    before = {number: signal.signal(number, stop) for number in _caught()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _caught() -> list[signal.Signals]:
    """Give the signals to catch: none but in the main thread, and none that is ignored."""
    if threading.current_thread() is not threading.main_thread():
        return []
    return [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]


class Interruption(Progress):
    """A progress that stops the work at the step after a signal. Only a main thread can catch signals."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._came: type[BaseException] | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interruption:
        self._before = {number: signal.signal(number, self._stop) for number in _caught()}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __call__(self, text: str, done: int = 0, total: int = 0) -> None:
        """Tell the step. Raises KeyboardInterrupt where Ctrl-C has come, Stopped where another signal has."""
        if self._came is not None:
            raise self._came
        self._progress(text, done, total)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._came = KeyboardInterrupt if number == signal.SIGINT else Stopped
        raise self._came
