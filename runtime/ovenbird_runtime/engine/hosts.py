"""Threads that outlive the work they do: TVM gives every thread that calls it a pool of threads, and keeps that
pool until the process ends. A server that loads new artifacts for months must not gather them.

    job = Job(work, threads=2)      # runs work() on a thread that an earlier job of 2 left, or on a new one
    job.join(timeout=10)

A pool never grows after it was made: a thread is used again only for work that wants a pool of the same size.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable

_lock = threading.Lock()
_idle: dict[int, list[_Host]] = {}
"""Threads without work, by the size of their pool."""


class _Host(threading.Thread):
    """A thread that does one job after another."""

    def __init__(self, threads: int) -> None:
        super().__init__(name="ovenbird-host", daemon=True)
        self._threads = threads
        self.jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()

    def run(self) -> None:
        """Do jobs for ever."""
        while True:
            self.jobs.get().do()
            with _lock:
                _idle.setdefault(self._threads, []).append(self)


class Job:
    """Work on a host; begun at once."""

    def __init__(self, work: Callable[[], None], threads: int) -> None:
        """Start `work()`, which must not raise, on a thread whose pool has (or will have) `threads` threads."""
        self._work: Callable[[], None] | None = work
        self._done = threading.Event()
        with _lock:
            idle = _idle.get(threads)
            host = idle.pop() if idle else None
        if host is None:
            host = _Host(threads)
            host.start()
        self._host = host
        host.name = "ovenbird-worker"
        host.jobs.put(self)

    def do(self) -> None:
        """Do the work. On the host."""
        try:
            if self._work is not None:
                self._work()
        finally:
            self._work = None  # the host stays, what the work held does not
            self._host.name = "ovenbird-host"
            self._done.set()

    @property
    def running(self) -> bool:
        """Whether the work has not ended, and is not this very thread's."""
        return not self._done.is_set() and threading.current_thread() is not self._host

    def join(self, timeout: float) -> None:
        """Wait for the end, at most `timeout` seconds."""
        self._done.wait(timeout)


def _forget() -> None:
    """In a forked child: the threads are the parent's, and one of them may have held the lock."""
    global _lock
    _lock = threading.Lock()
    _idle.clear()


os.register_at_fork(after_in_child=_forget)
