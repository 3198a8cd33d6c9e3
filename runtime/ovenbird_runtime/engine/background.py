"""Run one function beside others and collect its end later: digests are taken while libraries are imported.

check = Background(lambda: artifact.verify(names))
import numpy
checked = check.join()       # gives what the check gave, or raises what it raised
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Background(Generic[T]):
    """One function in a thread of its own."""

    def __init__(self, work: Callable[[], T]) -> None:
        """Start `work()`."""
        self._error: BaseException | None = None
        self._work = work
        self._thread = threading.Thread(target=self._run, name="ovenbird-check", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = self._work()
        except BaseException as error:  # noqa: BLE001 - handed to the caller of `join`
            self._error = error

    def join(self) -> T:
        """Wait for the end; give what the work gave, or raise what it raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._result
