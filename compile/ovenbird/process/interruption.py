"""Ctrl-C, SIGTERM and a closed terminal: all unwind the work, so that what was begun is removed, and none is lost.

    unwind(lambda: main(arguments))             # a whole command ...
    with Interruption(progress) as step:        # ... and a piece of work within it
        step("building", 0, 2)      # raises KeyboardInterrupt, or Stopped, where a signal came in the meantime

An exception that Python happens to raise inside a callback (a finalizer, a fork's hooks) is printed and dropped;
hence the signal is remembered as well, and the next step of the progress ends the work.

In the middle of an import it waits: C code would make another error of it, or print one, and a half of a module would
stay behind. Whatever error ends the work after a signal all the same is the signal's.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Any, TypeVar

from ovenbird.errors import TuningInterrupted
from ovenbird.process.progress import Progress
from ovenbird_runtime.console.signals import IMPORT_POLL_S, is_importing

T = TypeVar("T")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
IMPORT_LIMIT_S = 10.0  # longer than torch's import on a busy machine; a user's module may work while it is imported


class Stopped(BaseException):
    """A signal came. Not a KeyboardInterrupt: where that passes through C code which runs Python, as imports of large
    libraries do, Python remembers it, and ends the process by a signal of its own after it was caught.
    """


CLEANUPS: list[Callable[[], None]] = []
"""What `unwind` calls at its end: the work's own cleaning up, where a signal came before it was done. Each may be
called twice, and raises nothing.
"""


def unwind(work: Callable[[], T]) -> T:
    """Call `work`, a whole command: signals raise Stopped within it, but those that are ignored (`nohup`), and its
    temporary files lie in one folder, which is removed at its end whatever was interrupted.

    A signal's exception may come at the first step of any function, one that removes a temporary folder too; hence the
    folder around them all, made and removed while signals only wait. Processes that `work` starts inherit it.
    """
    command = _Command()
    try:
        command.begin()
        return work()
    except TuningInterrupted:  # it says itself what was kept
        raise
    except Exception as error:
        if command.came or _is_stopped(error):  # rmtree, stopped where it closes a descriptor, closes it twice
            raise Stopped from error
        raise
    finally:
        command.waits = True  # no call between the work and this: Python runs no handler there
        command.end()


def _is_stopped(error: BaseException) -> bool:
    """Return whether an error was raised while a signal's exception was on its way."""
    context = error.__context__
    return context is not None and (isinstance(context, (Stopped, KeyboardInterrupt)) or _is_stopped(context))


class _Handlers:
    """The handlers of a piece of work. `stop` may raise; it is called with the number of a signal that came."""

    def __init__(self, stop: Callable[[int], None]) -> None:
        self._stop = stop
        self._before: dict[signal.Signals, Any] = {}
        self._came: int = signal.SIGTERM
        self._waited_s = 0.0

    def put(self) -> None:
        """Catch the signals: none but in the main thread, and none that is ignored."""
        if threading.current_thread() is threading.main_thread():
            caught = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._take) for number in (*caught, signal.SIGALRM)}

    def put_back(self) -> None:
        """Catch no more: who caught the signals before does so again."""
        if self._before and not callable(self._before[signal.SIGALRM]):
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _take(self, number: int, frame: FrameType | None) -> None:
        """Stop, or come again in a moment, as an alarm, while an import runs."""
        if number != signal.SIGALRM:
            self._came = number
        if self._waited_s < IMPORT_LIMIT_S and is_importing(frame):
            self._waited_s += IMPORT_POLL_S
            signal.setitimer(signal.ITIMER_REAL, IMPORT_POLL_S)
        else:
            self._stop(self._came)


@contextlib.contextmanager
def catching(stop: Callable[[int], None]) -> Iterator[None]:
    """Call `stop`, which may raise, with the number of each signal that comes while the block runs."""
    handlers = _Handlers(stop)
    handlers.put()
    try:
        yield
    finally:
        handlers.put_back()


class _Command:
    """The signals' handlers and the temporary folder of a whole command."""

    def __init__(self) -> None:
        self.waits = True
        self.came = False
        self._handlers = _Handlers(self._stop)
        self._folder: str | None = None
        self._hook = sys.unraisablehook
        self._outer = (tempfile.tempdir, os.environ.get("TMPDIR"))

    def begin(self) -> None:
        self._handlers.put()
        sys.unraisablehook = self._drop
        with contextlib.suppress(OSError):  # no place for temporary files: what needs one says so
            self._folder = tempfile.mkdtemp(prefix="ovenbird-")
            tempfile.tempdir = os.environ["TMPDIR"] = self._folder
        self.waits = False
        if self.came:
            raise Stopped

    def end(self) -> None:
        while CLEANUPS:
            CLEANUPS.pop()()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            tempfile.tempdir, path = self._outer
            if path is None:
                os.environ.pop("TMPDIR", None)
            else:
                os.environ["TMPDIR"] = path
        sys.unraisablehook = self._hook
        self._handlers.put_back()

    def _stop(self, number: int) -> None:
        self.came = True
        if not self.waits:
            raise Stopped

    def _drop(self, lost: sys.UnraisableHookArgs) -> None:
        """Say nothing of a signal that came while a finalizer ran: the next step of the progress ends the work."""
        error = lost.exc_value
        if not isinstance(error, (Stopped, KeyboardInterrupt)) and not (error and _is_stopped(error)):
            self._hook(lost)


class Interruption(Progress):
    """A progress that stops the work at the step after a signal, and whose signal outlives the errors that it caused.
    Only a main thread can catch signals.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._came: type[BaseException] | None = None
        self._handlers = _Handlers(self._stop)

    def __enter__(self) -> Interruption:
        self._handlers.put()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handlers.put_back()
        if self._came is not None and isinstance(error, Exception):
            raise self._came from error

    def __call__(self, text: str, done: int = 0, total: int = 0) -> None:
        """Report the step. Raises KeyboardInterrupt where Ctrl-C has come, Stopped where another signal has."""
        if self._came is not None:
            raise self._came
        self._progress(text, done, total)

    def _stop(self, number: int) -> None:
        self._came = KeyboardInterrupt if number == signal.SIGINT else Stopped
        raise self._came
