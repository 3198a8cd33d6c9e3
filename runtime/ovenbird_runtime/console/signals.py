"""Signals from the first moment on: caught before anything slow is imported, remembered until somebody listens.

    CAUGHT.catch()                    # the server: TERM, INT and HUP wait in CAUGHT ...
    CAUGHT.listen(self._signal)       # ... for its event loop
    end_on_signals()                  # other commands: TERM and HUP unwind and end them

By default the system ends a process on each of these, and ignores each where the process is the first of a container.
Only the first hundredths of a second, until Python runs any code at all, cannot be otherwise.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType

STOPS = (signal.SIGTERM, signal.SIGINT)
RELOADS = (signal.SIGHUP,)


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


def end_on_signals() -> None:
    """Let TERM and HUP end the process as `exit(128 + number)` does, so that what was begun is cleared away; a second
    one does it at once. A signal that is ignored (`nohup`) stays so.
    """

    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, *RELOADS):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, end)
