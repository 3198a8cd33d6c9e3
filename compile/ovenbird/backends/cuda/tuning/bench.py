"""What a worker is asked where a GPU computes: compile by nvcc, run on the GPU, time bursts of calls.

A burst is begun call by call, as the network does it, and waited for once: launches overlap with what runs. The weights
of each call are the next copy, so that they come from memory and not from the GPU's cache.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import tvm

from ovenbird.backends.cuda.chip import chip_of
from ovenbird.backends.cuda.device_module import compiling_with, load_cuda_runtime, load_device_module
from ovenbird.backends.cuda.toolchain import find_nvcc
from ovenbird.backends.cuda.usage import launch_bounds, over_limits, read_usage
from ovenbird.errors import BuildFailed
from ovenbird.linking.library import link_library
from ovenbird.measure.jobs import Bench, read_target
from ovenbird.measure.limits import GPU_ROUND_CALLS_MAX, GPU_ROUND_CALLS_MIN, GPU_ROUND_SECONDS
from ovenbird_runtime.tensors.arrays import Array


class GpuBench(Bench):
    """The libraries, the arguments and the reference of the task at hand, on the first GPU."""

    def __init__(self) -> None:
        super().__init__()
        self._device: Any = None
        self._sync: Any = None

    def build(self, module: str, target: dict[str, Any], path: str) -> dict[str, Any]:
        """Compile a scheduled module into a library. Raises BuildFailed, also for what the chip has no room for."""
        spec = read_target(target)
        chip, nvcc = chip_of(spec), find_nvcc()
        load_device_module()
        # as `backends.cuda.compiler` does it: float32 sums must not be put where float16 operands were
        apart = tvm.transform.PassContext(config={"tirx.disable_storage_rewrite": True})
        with apart, compiling_with(nvcc, chip.arch, report=True) as sources:
            library = tvm.compile(tvm.ir.load_json(module), spec.tvm_target(), tir_pipeline="s_tir")
            for source, report in zip(sources.texts, sources.reports, strict=True):
                over = over_limits(read_usage(report), launch_bounds(source), chip)
                if over:
                    raise BuildFailed(over)
            link_library(library, Path(path), spec)
        return {}

    def prepare(
        self, arguments: list[Any], outputs: list[Any], seed: int, rotation_bytes: int, reference: str
    ) -> dict[str, Any]:
        """Make the arguments of a task on the GPU and run the default schedule on them. Raises LibraryMissing."""
        if self._device is None:
            load_cuda_runtime()
            self._device = tvm.runtime.device("cuda", 0)
            self._sync = tvm.get_global_func("runtime.Device_StreamSync")
        return super().prepare(arguments, outputs, seed, rotation_bytes, reference)

    def check(self, library: str) -> dict[str, Any]:
        """Run a candidate and compare; the seconds are those of a second call, the code being on the GPU by then."""
        answer = super().check(library)
        if not answer["wrong"]:
            answer["seconds"] = self._burst(self._load(library), 1)
        return answer

    def time(self, library: str) -> dict[str, Any]:
        """Time one round: the mean of a burst of calls, in seconds."""
        function = self._load(library)
        few = self._burst(function, GPU_ROUND_CALLS_MIN) / GPU_ROUND_CALLS_MIN
        calls = max(GPU_ROUND_CALLS_MIN, min(int(GPU_ROUND_SECONDS / max(few, 1e-7)), GPU_ROUND_CALLS_MAX))
        return {"seconds": self._burst(function, calls) / calls}

    def _burst(self, function: Any, calls: int) -> float:
        """Return the seconds that so many calls take, begun one behind the other."""
        copies, outputs = self.copies, self.outputs
        self._wait()
        start = time.perf_counter()
        for call in range(calls):
            function(*copies[call % len(copies)], *outputs)
        self._wait()
        return time.perf_counter() - start

    def _tensor(self, array: Array) -> Any:
        return tvm.runtime.tensor(array, self._device)

    def _wait(self) -> None:
        self._sync(self._device, 0)
