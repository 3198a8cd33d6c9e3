"""Signals from the first moment on: caught before anything slow is imported, remembered until somebody listens.

    CAUGHT.catch()                    # the server: TERM, INT and HUP wait in CAUGHT ...
    CAUGHT.listen(self._signal)       # ... for its event loop
    end_on_signals()                  # other commands: TERM and HUP unwind and end them

By default the system ends a process on each of these, and ignores each where the process is the first of a container.
Only the first hundredths of a second, until Python runs any code at all, cannot be otherwise.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType

STOPS = (signal.SIGTERM, signal.SIGINT)
RELOADS = (signal.SIGHUP,)
IMPORT_POLL_S = 0.02
"""After so long a signal that waits for an import comes again."""
AGAIN_S = 0.2
"""After so long it comes again where code that it met dropped the exit and went on."""


class Caught:
    """The signals that came before somebody listened, in their order; the main thread's."""

    def __init__(self) -> None:
        self._came: list[int] = []
        self._listener: Callable[[int], None] | None = None

    def catch(self) -> None:
        """Catch the signals from now on, those that were held back until now too."""
        for number in (*STOPS, *RELOADS):
            signal.signal(number, self._take)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (*STOPS, *RELOADS))

    def listen(self, listener: Callable[[int], None]) -> None:
        """Hand every signal to `listener`, first those that came already. It is called between
        any two steps of the main thread.
        """
        self._listener = listener
        came, self._came = self._came, []
        for number in came:
            listener(number)

    def _take(self, number: int, frame: FrameType | None) -> None:
        if self._listener is not None:
            self._listener(number)
            return
        if number in STOPS and any(before in STOPS for before in self._came):
            os._exit(128 + signal.SIGTERM)  # the second one stops at once
        self._came.append(number)


CAUGHT = Caught()


def hold_back_signals() -> None:
    """Let the signals wait, through `exec` too, until `Caught.catch`."""
    signal.pthread_sigmask(signal.SIG_BLOCK, (*STOPS, *RELOADS))


class _Ending:
    """The end of a command by a signal, an exit from wherever its main thread is.

    In the middle of an import it waits, a moment at a time: C code would make another error of it, as numpy's does,
    or drop it. Where it was dropped all the same (in a finalizer, by C code that expects no error), it comes again
    until the work has ended. It waits for what is `undisturbed`, too.
    """

    def __init__(self) -> None:
        self._came: int | None = None
        self._undisturbed = 0
        self._work: FrameType | None = None
        self._hook = sys.unraisablehook

    def catch(self, work: FrameType) -> None:
        """Catch TERM and HUP from now on, but not one that is ignored, to end `work`."""
        self._work = work
        for number in (signal.SIGTERM, *RELOADS):
            if signal.getsignal(number) == signal.SIG_DFL:
                signal.signal(number, self._take)

    def check(self) -> None:
        """Exit where a signal came: whatever error ended the work is the signal's."""
        if self._came is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise SystemExit(128 + self._came)

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Let a signal wait until the block ends."""
        self._undisturbed += 1
        try:
            yield
        finally:
            self._undisturbed -= 1

    def _take(self, number: int, frame: FrameType | None) -> None:
        working = any(one is self._work for one in callers(frame))
        if self._came is None:
            self._came = number
            signal.signal(number, signal.SIG_DFL)  # the second one ends the process at once
            signal.signal(signal.SIGALRM, self._take)
            atexit.register(signal.setitimer, signal.ITIMER_REAL, 0)
            sys.unraisablehook = self._come_again
        elif not working:
            return  # it came again, and what it was to end has ended
        if self._undisturbed or is_importing(frame):
            signal.setitimer(signal.ITIMER_REAL, IMPORT_POLL_S)
            return
        signal.setitimer(signal.ITIMER_REAL, AGAIN_S if working else 0)
        if not isinstance(sys.exc_info()[1], SystemExit):  # else the exit is on its way
            raise SystemExit(128 + self._came)

    def _come_again(self, lost: sys.UnraisableHookArgs) -> None:
        if isinstance(lost.exc_value, SystemExit):
            signal.setitimer(signal.ITIMER_REAL, IMPORT_POLL_S)
        else:
            self._hook(lost)


def callers(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield a frame and those that called it."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def is_importing(frame: FrameType | None) -> bool:
    """Return whether the code at `frame` runs within an import."""
    return any(one.f_code.co_filename.startswith("<frozen importlib") for one in callers(frame))


_ENDING = _Ending()


def end_on_signals() -> None:
    """Let TERM and HUP end the process as `exit(128 + number)` does, so that what was begun is cleared away; a second
    one does it at once. A signal that is ignored (`nohup`) stays so. The caller is what is ended.
    """
    _ENDING.catch(sys._getframe(1))


def undisturbed() -> AbstractContextManager[None]:
    """Let TERM and HUP wait while a block runs that must not be left half done; the main thread's."""
    return _ENDING.undisturbed()


def exit_if_signalled() -> None:
    """Exit as a signal that came asks for, if one did: called where an error would end the process otherwise."""
    _ENDING.check()
