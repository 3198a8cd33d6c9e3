"""One process of a load test: threads that send requests, and a boss that reports and cuts off what takes too long.

    multiprocessing.Process(target=send, args=(target, bodies, plan, index, pipe))

To the pipe go "ready", then, after a word from the parent, a report every tenth of a second: the samples that are new,
and at the end whether the server fell silent. So all that was seen is known whenever a process dies; and a process
whose parent dies notices it by its next report.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from multiprocessing.connection import Connection

from ..dataclass import dataclass
from .client import Client, ServerAddress
from .plan import LoadPlan, Sample

_REPORT_SECONDS = 0.1
_REFUSED_SECONDS = 0.005  # a server that refuses in a millisecond is not to be asked a thousand times a second


@dataclass(frozen=True)
class Report:
    """What a process saw since its last report; the last one says so, and whether the server had fallen silent."""

    samples: list[Sample]
    last: bool = False
    silent: bool = False


class _Arrivals:
    """Times of a Poisson process, handed to whichever thread is free: who comes late counts from its time."""

    def __init__(self, rate: float, seconds: float, seed: int) -> None:
        self._rate, self._end, self._random = rate, seconds, random.Random(seed)
        self._next, self._lock = 0.0, threading.Lock()

    def take(self) -> float | None:
        with self._lock:
            self._next += self._random.expovariate(self._rate)
            return self._next if self._next < self._end else None


class _Thread(threading.Thread):
    """Sends until the plan is fulfilled; `found` grows with each request."""

    def __init__(self, client: Client, plan: LoadPlan, arrivals: _Arrivals | None) -> None:
        super().__init__(daemon=True)
        self.client, self.found, self.reported = client, list[Sample](), 0
        self._plan, self._arrivals = plan, arrivals
        self.begun = 0.0

    def run(self) -> None:
        if self._arrivals is None:
            self._closed_loop()
        else:
            self._open_loop(self._arrivals)
        self.client.close()

    def news(self) -> list[Sample]:
        """Return the samples since the last time."""
        new = self.found[self.reported :]
        self.reported += len(new)
        return new

    def _closed_loop(self) -> None:
        plan = self._plan
        seconds = plan.seconds if plan.seconds is not None else float("inf")
        while (plan.samples is None or len(self.found) < plan.samples) and (
            now := time.perf_counter() - self.begun
        ) < seconds:
            status, took = self.client.send()
            self.found.append((now, status, took))
            if status != 200:
                time.sleep(_REFUSED_SECONDS)

    def _open_loop(self, arrivals: _Arrivals) -> None:
        while (due := arrivals.take()) is not None:
            time.sleep(max(0.0, self.begun + due - time.perf_counter()))
            status, _ = self.client.send()
            self.found.append((due, status, time.perf_counter() - self.begun - due))


def send(target: ServerAddress, bodies: list[tuple[bytes, str]], plan: LoadPlan, index: int, pipe: Connection) -> None:
    """Do one process's part of the plan, and report."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all of a terminal's processes; the parent ends us
    seconds = plan.seconds if plan.seconds is not None else float("inf")
    arrivals = _Arrivals(plan.rate / plan.workers, seconds, index) if plan.rate else None
    threads = [_Thread(Client(target, bodies, plan.answer_seconds), plan, arrivals) for _ in range(plan.threads)]
    try:
        pipe.send("ready")
        pipe.recv()
        begun = time.perf_counter()
        for thread in threads:
            thread.begun = begun
            thread.start()
        _report(threads, plan, begun, pipe)
    except (EOFError, OSError):  # the parent is no more
        os._exit(1)


def _report(threads: list[_Thread], plan: LoadPlan, begun: float, pipe: Connection) -> None:
    """Send reports until all threads have ended, or the server has been silent for the time of an answer."""
    silent_from: float | None = None
    while True:
        over = _wait_for(threads, _REPORT_SECONDS)
        new = [sample for thread in threads for sample in thread.news()]
        if any(status for _, status, _ in new):
            silent_from = None
        elif new and silent_from is None:
            silent_from = min(sent for sent, _, _ in new)
        now = time.perf_counter()
        silent = silent_from is not None and now - begun - silent_from > plan.answer_seconds
        pipe.send(Report(new, over or silent, silent))
        if over or silent:
            return
        for thread in threads:
            thread.client.cut_after(plan.answer_seconds, now)


def _wait_for(threads: list[_Thread], seconds: float) -> bool:
    """Wait until all threads have ended, but not longer than that; return whether they have."""
    end = time.perf_counter() + seconds
    for thread in threads:
        thread.join(max(0.0, end - time.perf_counter()))
    return not any(thread.is_alive() for thread in threads)
