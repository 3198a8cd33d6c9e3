"""Processes of threads that send requests: as fast as answers come (closed loop), or at a rate (open loop).

seen, seconds = run_load(target, bodies, LoadPlan(workers=2, threads=8, seconds=10.0))

Each process has a pipe of its own, so that one which dies takes no lock with it that others wait for. A thread for
each pipe puts what it hears into one queue, which the crew owns and alone takes from. Invariant: a process's None
comes last, after all that it said.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

from ..console.signals import undisturbed
from ..limits import LOAD_STALL_SECONDS, LOAD_START_SECONDS
from .client import ServerAddress
from .plan import LoadPlan, Sample, ServerSilent, WorkerDied
from .sending import Report, send


class _Worker:
    """One process, and what it has said last."""

    def __init__(self, number: int, target: ServerAddress, bodies: list[tuple[bytes, str]], plan: LoadPlan) -> None:
        context = multiprocessing.get_context("spawn")
        self.number, self.heard, self.ready, self.over = number, time.monotonic(), False, False
        self.pipe, theirs = context.Pipe()
        arguments = (target, bodies, plan, number, theirs)
        self.process = context.Process(target=send, args=arguments, name=f"load-{number}", daemon=True)
        with undisturbed():  # a child that is given half of what it reads ends with a traceback
            self.process.start()
        theirs.close()  # or the pipe would not end with the process

    def listen(self, heard: queue.SimpleQueue[tuple[_Worker, Report | str | None]]) -> None:
        """Hand on what the process says, None for its end."""

        def work(pipe: Connection) -> None:
            with contextlib.suppress(EOFError, OSError):
                while True:
                    heard.put((self, pipe.recv()))
            heard.put((self, None))

        threading.Thread(target=work, args=(self.pipe,), daemon=True).start()

    def end(self) -> None:
        """End the process, whatever it does."""
        if not self.over:
            self.process.kill()
        self.process.join()


class _Crew:
    """All processes of one run, and what they saw."""

    def __init__(self, target: ServerAddress, bodies: list[tuple[bytes, str]], plan: LoadPlan) -> None:
        self._heard: queue.SimpleQueue[tuple[_Worker, Report | str | None]] = queue.SimpleQueue()
        self.samples: list[Sample] = []
        self.silent = False
        self.start = time.perf_counter()
        self._workers: list[_Worker] = []
        for number in range(plan.workers):
            self._workers.append(_Worker(number, target, bodies, plan))
            self._workers[-1].listen(self._heard)

    @property
    def seconds(self) -> float:
        """How long the run has lasted."""
        return time.perf_counter() - self.start

    def begin(self) -> None:
        """Let all begin at one time, as soon as all are there. Raises WorkerDied."""
        while not all(worker.ready for worker in self._workers):
            self._hear(LOAD_START_SECONDS)
        self.start = time.perf_counter()
        for worker in self._workers:
            with contextlib.suppress(OSError):  # it died just now, as will be heard
                worker.pipe.send("go")

    def finish(self, progress: Callable[[int], None]) -> None:
        """Hear all reports. Raises WorkerDied."""
        while not all(worker.over for worker in self._workers):
            self._hear(LOAD_STALL_SECONDS)
            progress(len(self.samples))

    def _hear(self, patience: float) -> None:
        self._check_all_speak(patience)
        try:
            worker, said = self._heard.get(timeout=1.0)
        except queue.Empty:
            return
        worker.heard = time.monotonic()
        if isinstance(said, Report):
            self.samples += said.samples
            worker.over, self.silent = said.last, self.silent or said.silent
        elif said is not None:
            worker.ready = True
        elif not worker.over:
            worker.process.join(LOAD_STALL_SECONDS)
            code = worker.process.exitcode
            how = f"by signal {-code}" if code is not None and code < 0 else f"with exit code {code}"
            self._fail(f"worker {worker.number} died {how}")

    def _check_all_speak(self, patience: float) -> None:
        now = time.monotonic()
        for worker in self._workers:
            if not worker.over and now - worker.heard > patience:
                self._fail(f"worker {worker.number} has not been heard of for {patience:.0f} s")

    def _fail(self, what: str) -> None:
        raise WorkerDied(f"{what}; {len(self.samples)} requests were measured before", self.samples, self.seconds)

    def end(self) -> None:
        """End every process that is still there."""
        for worker in self._workers:
            worker.end()


def run_load(
    target: ServerAddress,
    bodies: list[tuple[bytes, str]],
    plan: LoadPlan,
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[list[Sample], float]:
    """Run the plan; return all samples and the seconds it took. `progress` gets the number of those that are done.

    Raises WorkerDied, and ServerSilent where the last requests of all threads, or all for the
    time of an answer, had no answer.
    """
    crew = _Crew(target, bodies, plan)
    try:
        crew.begin()
        crew.finish(progress)
        seconds = crew.seconds
    finally:
        crew.end()
    samples = crew.samples
    ends = sorted(samples, key=lambda sample: sample[0] + sample[2])[-plan.concurrency :]
    if crew.silent or not any(status for _, status, _ in ends):
        missing = sum(not status for _, status, _ in samples)
        raise ServerSilent(
            f"the server at {target.host}:{target.port} no longer answers: {missing} of {len(samples)} requests had no "
            "answer, the last ones among them",
            samples,
            seconds,
        )
    return samples, seconds
