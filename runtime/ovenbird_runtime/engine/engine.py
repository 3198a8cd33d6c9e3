"""Run compiled code: the one file that knows `tvm_ffi`.

    code = Code(library, target, programs, weights)       # checked bytes, which nobody can change
    engine = Engine(code, threads=2, workers=1)
    engine.run(3, {"image": array})        # {"logits": ..., "embedding": ...}; safe from any number of threads
    engine.close()

A Relax VM is not thread-safe, and TVM keeps one pool of threads for each thread that calls it. So the engine
owns `workers` threads, each with a VM and a pool of `threads` of its own, and with a single worker the lanes
that share its threads where several images wait (`lanes.py`); callers hand over batches and wait. Code and weights
are shared by all of them. Engines take turns at the processors (`processors.py`). Every tensor that compiled code sees
is in an aligned buffer of the engine's.
"""

from __future__ import annotations

import os
import queue
import time
import weakref
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from ..errors import EngineCallFailed, EngineForked, EngineLoadFailed, OvenbirdError, shown
from ..integrity.sealed import SealedFile
from ..integrity.weights import MappedFile
from ..machine.devices import CPU, Device
from ..manifest.manifest import MAIN, Entry, Program, Target
from ..manifest.program import InputSize
from ..tensors.arrays import Array, aligned_empty
from .device_tensors import DeviceMemory
from .ffi import import_for
from .lanes import TaskQueue, lanes_for
from .learning import Lanes, LearnedCosts
from .libraries import load_library
from .processors import ProcessorShare, lone_share, new_share
from .reused_threads import ThreadJob

_TVM_DEFAULT_AFFINITY = 0
_LAST_CALLS_SECONDS = 60


class Code:
    """A loaded `model.so` with its weights, whatever programs it holds: what all workers share."""

    def __init__(
        self,
        library: SealedFile,
        target: Target,
        programs: Mapping[str, Program],
        weights: Mapping[str, MappedFile],
        device: Device = CPU,
    ) -> None:
        """Load the checked library; make tensors over the mapped weights, or copies on a GPU. Raises EngineError."""
        self.ffi = import_for(device)
        self.target, self.programs = target, dict(programs)
        self.sized = {(name, size): one.at(size) for name, one in self.programs.items() for size in one.image_sizes}
        """Each program as it is for one of its image sizes."""
        self._mapped = dict(weights)  # keeps the mappings alive as long as the tensors
        try:
            self.module = load_library(self.ffi, library)
            self.memory = DeviceMemory(self.ffi, device, target.alignment)
            self.share = new_share() if self.memory.on_cpu else lone_share()
            views = [self._mapped[t.file].view(t.offset, t.dtype, t.shape) for t in target.tensors]
            self.tensors = [self.memory.upload(view) for view in views]
            if not self.memory.on_cpu:
                self._mapped = {}  # the copies are all that is used: the pages may go
        except OvenbirdError:
            raise
        except Exception as error:  # noqa: BLE001 - tvm_ffi raises whatever the C++ side names
            raise EngineLoadFailed(f"{library.name} cannot be loaded: {_reason(error)}") from None

    def turn(self, threads: int) -> AbstractContextManager[None]:
        """Wait for this model's turn at `threads` processors; on a GPU there is none to wait for."""
        return self.share.turn(threads) if self.memory.on_cpu else nullcontext()

    def host_function(self, name: str) -> Callable[..., None] | None:
        """Return a function of the code that runs on the processor on arrays and whole numbers; None for no name.

        Raises EngineLoadFailed where the code lacks what its description names.
        """
        if not name:
            return None
        try:
            function, as_tensor = self.module.get_function(name, query_imports=True), self.ffi.from_dlpack
        except Exception as error:  # noqa: BLE001 - as above
            raise EngineLoadFailed(f"the code of {self.target.target} has no {name}: {_reason(error)}") from None

        def call(*arguments: Any) -> None:
            try:
                function(*[value if isinstance(value, int) else as_tensor(value) for value in arguments])
            except Exception as error:  # noqa: BLE001 - as above
                raise EngineCallFailed(f"{name} failed: {_reason(error)}") from None

        return call


class _Task:
    """Rows `start` to `start + rows` of one call, to run as one compiled batch; `costs` are those of its size."""

    def __init__(self, call: _Call, entry: Entry, start: int, rows: int, costs: LearnedCosts, crowded: bool) -> None:
        self.call, self.entry, self.start, self.rows = call, entry, start, rows
        self.costs, self.narrow, self.crowded = costs, entry.batch == costs.smallest, crowded


class _Call:
    """One call of `run`: the program at its image size, arrays in, arrays out, and where tasks report their end."""

    def __init__(self, program: Program, arrays: Mapping[str, Array], results: dict[str, Array]) -> None:
        self.program, self.arrays, self.results = program, arrays, results
        self.done: queue.SimpleQueue[OvenbirdError | None] = queue.SimpleQueue()
        self.abandoned = False


class _Worker:
    """A job with a VM, its input buffers and its share of processor threads."""

    def __init__(self, code: Code, tasks: TaskQueue[_Task], threads: int, wide: bool = True) -> None:
        self._code, self._tasks, self._threads, self._wide = code, tasks, threads, wide
        self._buffers: dict[str, tuple[list[Array], list[Any]]] = {}
        self.ready: queue.SimpleQueue[OvenbirdError | None] = queue.SimpleQueue()

    def run(self) -> None:
        """Prepare, report, then work until stopped."""
        try:
            functions = self._prepare()
        except Exception as error:  # noqa: BLE001 - reported to the thread that loads the model
            self.ready.put(
                EngineLoadFailed(f"the code of {self._code.target.target} cannot be started: {_reason(error)}")
            )
            return
        self.ready.put(None)
        while (task := self._tasks.take(self._wide)) is not None:
            call, failure = task.call, None
            if not call.abandoned:
                try:
                    with self._code.turn(self._threads):
                        self._execute(functions[task.entry.function], task)
                except OvenbirdError as error:
                    failure = error
                except Exception as error:  # noqa: BLE001 - as above; the worker must live on
                    failure = EngineCallFailed(f"{task.entry.function} failed: {_reason(error)}")
            self._tasks.done(task, self._wide)
            call.done.put(failure)
            del task, call  # hold no caller's arrays while idle

    def _prepare(self) -> dict[str, Any]:
        ffi, target = self._code.ffi, self._code.target
        # This thread's pool, of this many threads, bound to no core: the thread count as a list of as many
        # processor names.
        ffi.get_global_func("runtime.config_threadpool")(
            _TVM_DEFAULT_AFFINITY, self._threads, list(map(str, range(self._threads)))
        )
        machine = self._code.module["vm_load_executable"]()
        machine["vm_initialization"](*self._code.memory.vm_arguments)
        return {entry.function: machine[entry.function] for entry in target.entries}

    def _execute(self, function: Any, task: _Task) -> None:
        code, entry, program, costs = self._code, task.entry, task.call.program, task.costs
        buffers, tensors = self._buffers_for(entry, program)
        for spec, buffer in zip(program.inputs, buffers, strict=True):
            given = task.call.arrays[spec.name]
            if spec.batched:
                buffer[: task.rows] = given[task.start : task.start + task.rows]
                buffer[task.rows :] = 0  # padding; an earlier call's rows would be computed again, or be NaN and slow
            else:
                buffer[...] = given
        start = time.perf_counter()
        for buffer, tensor in zip(buffers, tensors, strict=True):
            code.memory.write(tensor, buffer)
        answer = function(*tensors, *(code.tensors[i] for i in entry.weights))
        code.memory.wait()
        spent = (time.perf_counter() - start) * 1e3
        if self._wide:
            costs.observe(entry.batch, spent)
        else:
            costs.observe_lane(spent)
        for spec, array in zip(program.outputs, self._arrays_of(answer, entry, program), strict=True):
            if spec.batched:
                task.call.results[spec.name][task.start : task.start + task.rows] = array[: task.rows]
            else:
                task.call.results[spec.name][...] = array

    def _buffers_for(self, entry: Entry, program: Program) -> tuple[list[Array], list[Any]]:
        if entry.function not in self._buffers:
            arrays = [aligned_empty(spec.with_batch(entry.batch), spec.dtype) for spec in program.inputs]
            self._buffers[entry.function] = (arrays, [self._code.memory.upload(array) for array in arrays])
        return self._buffers[entry.function]

    def _arrays_of(self, answer: Any, entry: Entry, program: Program) -> list[Array]:
        """View what the function gave, checked against the manifest: one tensor, or a tuple of them."""
        outputs = program.outputs
        given = [answer] if isinstance(answer, self._code.ffi.Tensor) else list(answer)
        if len(given) != len(outputs):
            raise EngineCallFailed(f"{entry.function} gave {len(given)} outputs, the manifest says {len(outputs)}")
        arrays = [self._code.memory.download(tensor) for tensor in given]
        for spec, array in zip(outputs, arrays, strict=True):
            if array.shape != spec.with_batch(entry.batch) or array.dtype != np.dtype(spec.dtype):
                raise EngineCallFailed(
                    f"{entry.function} gave {spec.name} as {array.dtype} {array.shape}, "
                    f"the manifest says {spec.dtype} {spec.with_batch(entry.batch)}"
                )
        return arrays


class Engine:
    """Code with workers that run its programs."""

    def __init__(self, code: Code, threads: int, workers: int) -> None:
        """Start the workers. Raises EngineLoadFailed where the code and the manifest do not fit, or threads run out."""
        self._code, self._pid, self._closed = code, os.getpid(), False
        self._entries = {
            (entry.program, entry.size if code.programs[entry.program].sizes else (), entry.batch): entry
            for entry in code.target.entries
        }
        # Lanes share the threads among rows of one program; where there are several, each call has all threads.
        lanes = lanes_for(threads, workers) if code.memory.on_cpu and len(code.programs) == 1 else 0
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

        `crowded` tells that other calls are there or about to come: threads are better shared out then.
        Raises EngineCallFailed, EngineForked; WrongShape where there is no code for images of this size.
        """
        if os.getpid() != self._pid:
            raise EngineForked(
                f"the model was loaded in process {self._pid}, this is its fork {os.getpid()}: load it after fork"
            )
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
        return results

    def slowdown_of(self, program: str, size: InputSize = ()) -> float:
        """Return how many times as long as those costs calls take of late."""
        return self._learned[program, size].slowdown

    @property
    def share(self) -> ProcessorShare:
        """The model's part of the processors, by which what it promises is known to others."""
        return self._code.share

    def release_unused(self) -> None:
        """Let go of memory that is kept for later calls; the next ones take what they need again."""
        self._code.memory.release_unused()

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


def _reason(error: BaseException) -> str:
    """Return the first line of a TVM error, which may carry a C++ stack below it."""
    text = str(error).strip() or type(error).__name__
    return shown(text.splitlines()[0]).strip("'\"")
