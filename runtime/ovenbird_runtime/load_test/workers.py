"""Processes of threads that send requests: as fast as answers come (closed loop), or at a rate (open loop).

seen = run_load(target, bodies, Plan(workers=2, threads=8, seconds=10.0))
"""

from __future__ import annotations

import multiprocessing
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.queues import Queue
from typing import Any

from .client import Client, Target

Sample = tuple[float, int, float]
"""When it was sent (seconds from the start), its status, and its seconds."""


@dataclass(frozen=True)
class Plan:
    """How much to send: `samples` for each thread or for `seconds`; `rate` in requests/s makes an open loop."""

    workers: int = 1
    threads: int = 1
    samples: int | None = None
    seconds: float | None = None
    rate: float | None = None

    @property
    def concurrency(self) -> int:
        """Requests that may be under way at one time."""
        return self.workers * self.threads


class _Arrivals:
    """Times of a Poisson process, handed to whichever thread is free: who comes late counts from its time."""

    def __init__(self, rate: float, seconds: float, seed: int) -> None:
        self._rate, self._end, self._random = rate, seconds, random.Random(seed)
        self._next, self._lock = 0.0, threading.Lock()

    def take(self) -> float | None:
        with self._lock:
            self._next += self._random.expovariate(self._rate)
            return self._next if self._next < self._end else None


def run_load(
    target: Target, bodies: list[tuple[bytes, str]], plan: Plan, progress: Callable[[int], None] = lambda done: None
) -> tuple[list[Sample], float]:
    """Run the plan; give all samples and the seconds it took. `progress` is told how many are done."""
    context = multiprocessing.get_context("spawn")
    results: Queue[Any] = context.Queue()
    barrier = context.Barrier(plan.workers + 1)
    processes = [
        context.Process(target=_worker, args=(target, bodies, plan, index, barrier, results), daemon=True)
        for index in range(plan.workers)
    ]
    for process in processes:
        process.start()
    barrier.wait(60)
    start = time.perf_counter()
    samples: list[Sample] = []
    running, done = plan.workers, 0
    while running:
        kind, value = results.get()
        if kind == "done":
            done += value
            progress(done)
        else:
            samples += value
            running -= 1
    seconds = time.perf_counter() - start
    for process in processes:
        process.join()
    return samples, seconds


def _worker(
    target: Target, bodies: list[tuple[bytes, str]], plan: Plan, index: int, barrier: Any, results: Queue[Any]
) -> None:
    found: list[list[Sample]] = [[] for _ in range(plan.threads)]
    seconds = plan.seconds if plan.seconds is not None else float("inf")
    arrivals = _Arrivals(plan.rate / plan.workers, seconds, index) if plan.rate else None
    barrier.wait(60)
    start = time.perf_counter()

    def closed(mine: list[Sample]) -> None:
        client = Client(target, bodies)
        while (plan.samples is None or len(mine) < plan.samples) and (now := time.perf_counter() - start) < seconds:
            status, took = client.send()
            mine.append((now, status, took))
            if status != 200:
                time.sleep(0.005)  # a server that refuses in a millisecond is not to be asked a thousand times a second
        client.close()

    def opened(mine: list[Sample], arrivals: _Arrivals) -> None:
        client = Client(target, bodies)
        while (due := arrivals.take()) is not None:
            time.sleep(max(0.0, start + due - time.perf_counter()))
            status, _ = client.send()
            mine.append((due, status, time.perf_counter() - start - due))
        client.close()

    threads = [
        threading.Thread(target=opened if arrivals else closed, args=(mine, arrivals) if arrivals else (mine,))
        for mine in found
    ]
    for thread in threads:
        thread.start()
    told = 0
    while any(thread.is_alive() for thread in threads):
        time.sleep(0.1)
        done = sum(map(len, found))
        results.put(("done", done - told))
        told = done
    results.put(("samples", [sample for mine in found for sample in mine]))
