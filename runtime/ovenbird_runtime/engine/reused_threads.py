"""Threads that outlive the work they do: TVM gives every thread that calls it a pool of threads, and keeps that
pool until the process ends. A server that loads new artifacts for months must not gather them.

    job = ThreadJob(work, threads=2)      # runs work() on a thread that an earlier job of 2 left, or on a new one
    job.join(timeout=10)

A pool never grows after it was made: a thread is used again only for work that wants a pool of the same size.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable

_lock = threading.Lock()
_idle: dict[int, list[_ReusedThread]] = {}
"""Threads without work, by the size of their pool."""


class _ReusedThread(threading.Thread):
    """A thread that does one job after another."""

    def __init__(self, threads: int) -> None:
        super().__init__(name="ovenbird-idle", daemon=True)
        self._threads = threads
        self.jobs: queue.SimpleQueue[ThreadJob] = queue.SimpleQueue()

    def run(self) -> None:
        """Do jobs for ever."""
        while True:
            self.jobs.get().do()
            with _lock:
                _idle.setdefault(self._threads, []).append(self)


class ThreadJob:
    """Work on a reused thread, begun at once."""

    def __init__(self, work: Callable[[], None], threads: int) -> None:
        """Start `work()`, which must not raise, on a thread whose pool has (or will have) `threads` threads."""
        self._work: Callable[[], None] | None = work
        self._done = threading.Event()
        with _lock:
            idle = _idle.get(threads)
            thread = idle.pop() if idle else None
        if thread is None:
            thread = _ReusedThread(threads)
            thread.start()
        self._thread = thread
        thread.name = "ovenbird-worker"
        thread.jobs.put(self)

    def do(self) -> None:
        """Do the work. On that thread."""
        try:
            if self._work is not None:
                self._work()
        finally:
            self._work = None  # the thread stays, what the work held does not
            self._thread.name = "ovenbird-idle"
            self._done.set()

    @property
    def running(self) -> bool:
        """Whether the work has not ended, and is not this very thread's."""
        return not self._done.is_set() and threading.current_thread() is not self._thread

    def join(self, timeout: float) -> None:
        """Wait for the end, at most `timeout` seconds."""
        self._done.wait(timeout)


def _forget() -> None:
    """In a forked child: the threads are the parent's, and one of them may have held the lock."""
    global _lock
    _lock = threading.Lock()
    _idle.clear()


os.register_at_fork(after_in_child=_forget)
