"""Run one function beside others and collect its end later: digests are taken while libraries are imported.

check = Background(lambda: artifact.verify(names))
import numpy
check.join()                 # raises what the check raised
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class Background:
    """One function in a thread of its own."""

    def __init__(self, work: Callable[[], None]) -> None:
        """Start `work()`."""
        self._error: BaseException | None = None
        self._work = work
        self._thread = threading.Thread(target=self._run, name="ovenbird-check", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - handed to the caller of `join`
            self._error = error

    def join(self) -> None:
        """Wait for the end; raise what the work raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
