"""Run programs of compiled code: batches of any size, from any number of threads.

    engine = Engine(code, threads=2, workers=1)           # `virtual_machine.Code` or `native.NativeCode`
    engine.run(3, {"image": array})                       # {"logits": ..., "embedding": ...}
    engine.run_held("step", 4, {"token": tokens}, {"keys": keys})     # keys are read where they lie
    engine.close()

What runs code is for one thread at a time. So the engine owns `workers` threads, each with a runner and a pool of
`threads` of its own, and with a single worker the lanes that share its threads where several images wait (`lanes.py`);
callers hand over batches and wait. Code and weights are shared by all of them. Engines take turns at the processors
(`processors.py`).
"""

from __future__ import annotations

import os
import queue
import weakref
from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Protocol

import numpy as np

from ..errors import EngineCallFailed, EngineForked, EngineLoadFailed, OvenbirdError, shown
from ..manifest.manifest import MAIN, Entry, Program, Target
from ..manifest.program import InputSize
from ..tensors.arrays import Array
from .lanes import TaskQueue, lanes_for
from .learning import Lanes, LearnedCosts
from .processors import ProcessorShare
from .reused_threads import ThreadJob

_LAST_CALLS_SECONDS = 60


NOTHING: Mapping[str, Array] = MappingProxyType({})


class CodeRunner(Protocol):
    """Runs entries of compiled code, one after the other, on threads of its own."""

    def run(
        self,
        entry: Entry,
        program: Program,
        arrays: Mapping[str, Array],
        start: int,
        rows: int,
        held: Mapping[str, Array] = NOTHING,
    ) -> tuple[list[Array], float]:
        """Run an entry on `rows` rows of arrays from `start` on, padded to its batch; return its outputs, which the
        next call may overwrite, and the ms that the code took. Raises EngineCallFailed.

        `held` are the inputs that `arrays` lacks: aligned, of the entry's batch, and read where they lie.
        """


class LoadedCode(Protocol):
    """Loaded code with its weights, whatever programs it holds and whoever runs it: what all workers share."""

    target: Target
    programs: dict[str, Program]
    sized: dict[tuple[str, InputSize], Program]
    """Each program as it is for one of its image sizes."""
    share: ProcessorShare
    """Its part of the machine's processors."""

    @property
    def shares_processors(self) -> bool:
        """Whether runners share the machine's processors; a GPU's do not."""

    def runner(self, threads: int) -> CodeRunner:
        """Return a runner on so many threads, made on the thread that will use it. Raises EngineLoadFailed."""

    def turn(self, threads: int) -> AbstractContextManager[None]:
        """Wait for this model's turn at `threads` processors."""

    def release_unused(self) -> None:
        """Let go of memory that is kept for later calls."""


class _Task:
    """Rows `start` to `start + rows` of one call, to run as one compiled batch; `costs` are those of its size."""

    def __init__(self, call: _Call, entry: Entry, start: int, rows: int, costs: LearnedCosts, crowded: bool) -> None:
        self.call, self.entry, self.start, self.rows = call, entry, start, rows
        self.costs, self.narrow, self.crowded = costs, entry.batch == costs.smallest, crowded


class _Call:
    """One call of `run`: the program at its image size, arrays in, arrays out, and where tasks report their end."""

    def __init__(
        self,
        program: Program,
        arrays: Mapping[str, Array],
        results: dict[str, Array],
        held: Mapping[str, Array] = NOTHING,
    ) -> None:
        self.program, self.arrays, self.results, self.held = program, arrays, results, held
        self.done: queue.SimpleQueue[OvenbirdError | None] = queue.SimpleQueue()
        self.abandoned = False


class _Worker:
    """A job with a runner: its share of processor threads."""

    def __init__(self, code: LoadedCode, tasks: TaskQueue[_Task], threads: int, wide: bool = True) -> None:
        self._code, self._tasks, self._threads, self._wide = code, tasks, threads, wide
        self.ready: queue.SimpleQueue[OvenbirdError | None] = queue.SimpleQueue()

    def run(self) -> None:
        """Prepare, report, then work until stopped."""
        try:
            runner = self._code.runner(self._threads)
        except OvenbirdError as error:  # reported to the thread that loads the model
            self.ready.put(error)
            return
        except Exception as error:  # noqa: BLE001 - as above: it waits for the report
            self.ready.put(EngineLoadFailed(f"the code cannot be started: {shown(str(error))}"))
            return
        self.ready.put(None)
        while (task := self._tasks.take(self._wide)) is not None:
            call, failure = task.call, None
            if not call.abandoned:
                try:
                    with self._code.turn(self._threads):
                        self._execute(runner, task)
                except OvenbirdError as error:
                    failure = error
                except Exception as error:  # noqa: BLE001 - the worker must live on
                    failure = EngineCallFailed(f"{task.entry.function} failed: {shown(str(error))}")
            self._tasks.done(task, self._wide)
            call.done.put(failure)
            del task, call  # hold no caller's arrays while idle

    def _execute(self, runner: CodeRunner, task: _Task) -> None:
        entry, program, costs = task.entry, task.call.program, task.costs
        outputs, spent = runner.run(entry, program, task.call.arrays, task.start, task.rows, task.call.held)
        if self._wide:
            costs.observe(entry.batch, spent)
        else:
            costs.observe_lane(spent)
        for spec, array in zip(program.outputs, outputs, strict=True):
            if spec.batched:
                task.call.results[spec.name][task.start : task.start + task.rows] = array[: task.rows]
            else:
                task.call.results[spec.name][...] = array


class Engine:
    """Code with workers that run its programs."""

    def __init__(self, code: LoadedCode, threads: int, workers: int) -> None:
        """Start the workers. Raises EngineLoadFailed where the code and the manifest do not fit, or threads run out."""
        self._code, self._pid, self._closed = code, os.getpid(), False
        self._entries = {
            (entry.program, entry.size if code.programs[entry.program].sizes else (), entry.batch): entry
            for entry in code.target.entries
        }
        # Lanes share the threads among rows of one program; where there are several, each call has all threads.
        lanes = lanes_for(threads, workers) if code.shares_processors and len(code.programs) == 1 else 0
        self._learned = {
            (name, size): LearnedCosts({entry.batch: None for entry in code.target.entries_of(name, size)}, lanes)
            for name, size in code.sized
        }
        self._lanes = lanes
        self._tasks: TaskQueue[_Task] = TaskQueue(lanes, lambda task: task.costs)
        self._jobs: list[ThreadJob] = []
        # Also at the interpreter's exit.
        self._finalizer = weakref.finalize(self, _stop, self._pid, self._tasks, self._jobs)
        self._lane_threads = threads // lanes if lanes else 0
        failure = self._start(workers, threads, wide=True)
        if failure is not None:
            self.close()
            raise failure

    def _start(self, count: int, threads: int, wide: bool) -> OvenbirdError | None:
        """Start `count` workers, and wait until each is ready or has failed; return the first failure."""
        workers: list[_Worker] = []
        failures: list[OvenbirdError | None] = []
        try:
            for _ in range(count):
                worker = _Worker(self._code, self._tasks, threads, wide)
                self._jobs.append(ThreadJob(worker.run, threads))
                workers.append(worker)
        except RuntimeError as error:  # what Python raises where the system has no thread left
            failures.append(
                EngineLoadFailed(f"a thread cannot be started: {error}; end some, or raise the limit of them")
            )
        failures += [worker.ready.get() for worker in workers]
        return next((failure for failure in failures if failure is not None), None)

    def _start_lanes(self) -> None:
        """Start the lanes, when a crowd first comes: who runs one image at a time needs none."""
        started = False
        try:
            started = self._start(self._lanes, self._lane_threads, wide=False) is None
        finally:  # also of Ctrl-C
            if started:
                self._tasks.admit_lanes()
            else:  # no memory for them: the wide worker does it all, as before
                self._tasks.give_up_lanes()
                for learned in self._learned.values():
                    learned.lanes = 0

    def costs_of(self, program: str, size: InputSize = ()) -> dict[int, float | None]:
        """Return what each compiled batch size of a program costs in ms for images of one size, which the caller may
        change; None: unknown.
        """
        return self._learned[program, size].table

    def lanes_of(self, program: str, size: InputSize = ()) -> Lanes:
        """Return the lanes that share the threads in a crowd; their cost is None while it is not known."""
        learned = self._learned[program, size]
        return Lanes(learned.lanes, learned.lane) if learned.lanes_pay(True) else Lanes()

    def run(
        self, batch: int, arrays: Mapping[str, Array], crowded: bool = False, program: str = MAIN
    ) -> dict[str, Array]:
        """Run a program on `batch` rows of checked arrays (see `arrays.check_inputs`); return its outputs,
        new arrays.

        `crowded`: other calls are there or about to come: threads are better shared out then.
        Raises EngineCallFailed, EngineForked; WrongShape where there is no code for images of this size.
        """
        self._check_process()
        size = self._code.programs[program].size_of({name: array.shape for name, array in arrays.items()})
        sized, learned = self._code.sized[program, size], self._learned[program, size]
        results = {spec.name: np.empty(spec.with_batch(batch), spec.dtype) for spec in sized.outputs}
        call = _Call(sized, arrays, results)
        start = 0
        tasks = []
        for rows in learned.plan(batch):
            entry = self._entries[program, size, rows]
            tasks.append(_Task(call, entry, start, min(rows, batch - start), learned, crowded))
            start += rows
        self._finish(call, tasks)
        return results

    def batches_of(self, program: str) -> list[int]:
        """Return the batch sizes that a program of one image size was compiled for, the smallest first."""
        return sorted(entry.batch for entry in self._code.target.entries_of(program, ()))

    def run_held(
        self, program: str, batch: int, arrays: Mapping[str, Array], held: Mapping[str, Array]
    ) -> dict[str, Array]:
        """Run a program of one image size once, for exactly `batch` rows, a compiled batch size: on copies of `arrays`,
        and on `held`, aligned, where they lie. Return its outputs, new arrays. Raises EngineCallFailed, EngineForked.
        """
        self._check_process()
        sized, learned = self._code.sized[program, ()], self._learned[program, ()]
        results = {spec.name: np.empty(spec.with_batch(batch), spec.dtype) for spec in sized.outputs}
        call = _Call(sized, arrays, results, held)
        self._finish(call, [_Task(call, self._entries[program, (), batch], 0, batch, learned, crowded=False)])
        return results

    def _check_process(self) -> None:
        if os.getpid() != self._pid:
            raise EngineForked(
                f"the model was loaded in process {self._pid}, this is its fork {os.getpid()}: load it after fork"
            )

    def _finish(self, call: _Call, tasks: list[_Task]) -> None:
        """Queue the tasks of a call and wait for all of them. Raises EngineCallFailed."""
        # A queue that nobody closed here is closed by the interpreter's exit: a daemon thread then waits, quietly.
        if not self._tasks.put(tasks) and self._closed:
            raise EngineCallFailed("the model is closed: load it again")
        try:
            if self._tasks.claim_lanes():
                self._start_lanes()
            failures = [call.done.get() for _ in tasks]
        except BaseException:  # Ctrl-C: the workers drop what has not begun
            call.abandoned = True
            raise
        for failure in failures:
            if failure is not None:
                raise failure

    def slowdown_of(self, program: str, size: InputSize = ()) -> float:
        """Return how many times as long as those costs calls take of late."""
        return self._learned[program, size].slowdown

    @property
    def share(self) -> ProcessorShare:
        """The model's part of the processors, by which what it promises is known to others."""
        return self._code.share

    def release_unused(self) -> None:
        """Let go of memory that is kept for later calls; the next ones take what they need again."""
        self._code.release_unused()

    def close(self) -> None:
        """Stop the workers after the calls that have begun, and let go of code and weights."""
        self._closed = True
        self._finalizer.detach()
        _stop(self._pid, self._tasks, self._jobs)


def _stop(pid: int, tasks: TaskQueue[_Task], jobs: list[ThreadJob]) -> None:
    """Let the workers finish what is queued, then end; an interpreter that exits does not wait for ever.

    A forked child has no workers to wait for, and the queue's lock may have been held when it was forked.
    """
    if os.getpid() != pid:
        return
    tasks.close()
    for job in jobs:
        if job.running:
            job.join(timeout=_LAST_CALLS_SECONDS)
