"""Run compiled code by TVM's virtual machine: the one file that knows `tvm_ffi`.

    code = Code(library, target, programs, weights)       # checked bytes, which nobody can change
    runner = code.runner(threads=2)                       # on the thread that will use it
    runner.run(entry, program, {"image": array}, start=0, rows=1)

A Relax VM is not thread-safe, and TVM keeps one pool of threads for each thread that calls it: a runner has both for
itself. Every tensor that compiled code sees is in an aligned buffer of the runner's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from ..errors import EngineCallFailed, EngineLoadFailed, OvenbirdError, shown
from ..integrity.sealed import SealedFile
from ..integrity.weights import MappedFile
from ..machine.devices import CPU, Device
from ..manifest.manifest import Entry, Program, Target
from ..tensors.arrays import Array, aligned_empty
from .device_tensors import DeviceMemory
from .engine import NOTHING
from .ffi import import_for
from .libraries import load_library
from .processors import lone_share, new_share

_TVM_DEFAULT_AFFINITY = 0


class Code:
    """A loaded `model.so` with its weights, whatever programs it holds: what all workers share."""

    engine = "tvm"

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

    @property
    def shares_processors(self) -> bool:
        """Whether runners share the machine's processors; a GPU's do not."""
        return self.memory.on_cpu

    def runner(self, threads: int) -> MachineRunner:
        """Return what runs the code on so many threads, made on the thread that will use it."""
        return MachineRunner(self, threads)

    def release_unused(self) -> None:
        """Let go of memory that is kept for later calls."""
        self.memory.release_unused()

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


class MachineRunner:
    """A VM with its input buffers, and a pool of threads."""

    def __init__(self, code: Code, threads: int) -> None:
        """Make this thread's pool and a VM. Raises EngineLoadFailed."""
        self._code = code
        self._buffers: dict[tuple[str, frozenset[str]], dict[str, tuple[Array, Any]]] = {}
        try:
            self._functions = self._prepare(threads)
        except Exception as error:  # noqa: BLE001 - tvm_ffi raises whatever the C++ side names
            raise EngineLoadFailed(f"the code of {code.target.target} cannot be started: {_reason(error)}") from None

    def _prepare(self, threads: int) -> dict[str, Any]:
        ffi, target = self._code.ffi, self._code.target
        # This thread's pool, of this many threads, bound to no core: the thread count as a list of as many
        # processor names.
        ffi.get_global_func("runtime.config_threadpool")(_TVM_DEFAULT_AFFINITY, threads, list(map(str, range(threads))))
        machine = self._code.module["vm_load_executable"]()
        machine["vm_initialization"](*self._code.memory.vm_arguments)
        return {entry.function: machine[entry.function] for entry in target.entries}

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
        next call overwrites, and the ms that the code took. `held` are inputs that are read where they lie.

        Raises EngineCallFailed.
        """
        code = self._code
        try:
            buffers = self._buffers_for(entry, program, held)
            for spec in program.inputs:
                if spec.name in held:
                    continue
                given, buffer = arrays[spec.name], buffers[spec.name][0]
                if spec.batched:
                    buffer[:rows] = given[start : start + rows]
                    buffer[rows:] = 0  # padding; an earlier call's rows would be computed again, or be NaN and slow
                else:
                    buffer[...] = given
            began = time.perf_counter()
            for buffer, tensor in buffers.values():
                code.memory.write(tensor, buffer)
            given_by = {name: tensor for name, (_, tensor) in buffers.items()}
            given_by |= {name: code.memory.upload(array) for name, array in held.items()}
            tensors = [given_by[spec.name] for spec in program.inputs]
            answer = self._functions[entry.function](*tensors, *(code.tensors[i] for i in entry.weights))
            code.memory.wait()
            spent = (time.perf_counter() - began) * 1e3
            return self._arrays_of(answer, entry, program), spent
        except OvenbirdError:
            raise
        except Exception as error:  # noqa: BLE001 - as above; the worker must live on
            raise EngineCallFailed(f"{entry.function} failed: {_reason(error)}") from None

    def _buffers_for(self, entry: Entry, program: Program, held: Mapping[str, Array]) -> dict[str, tuple[Array, Any]]:
        """Return this runner's own buffers for the inputs that are not held elsewhere, and the tensors over them."""
        key = entry.function, frozenset(held)
        if key not in self._buffers:
            names = [spec for spec in program.inputs if spec.name not in held]
            arrays = {spec.name: aligned_empty(spec.with_batch(entry.batch), spec.dtype) for spec in names}
            self._buffers[key] = {name: (array, self._code.memory.upload(array)) for name, array in arrays.items()}
        return self._buffers[key]

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


def _reason(error: BaseException) -> str:
    """Return the first line of a TVM error, which may carry a C++ stack below it."""
    text = str(error).strip() or type(error).__name__
    return shown(text.splitlines()[0]).strip("'\"")
