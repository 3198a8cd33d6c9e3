"""What a worker is asked: run a candidate against the default schedule, time it, find the machine's limit.

Compiling one is the backend's own: `backends.cpu.tuning.bench`, for one. Runs in the worker's process. Times are those
of a call as the network makes it: threads awake from the call before, activations in the caches, weights from memory
(each call takes the next copy of the weights).
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import tvm

from ovenbird.measure.arithmetic import CHAINS, multiply_add_operations
from ovenbird.measure.limits import (
    HALF_TOLERANCE,
    RELATIVE_TOLERANCE,
    ROTATION_COPIES_MAX,
    ROUND_CALLS_MAX,
    ROUND_CALLS_MIN,
    ROUND_SECONDS,
)
from ovenbird.targets import TargetSpec
from ovenbird_runtime.tensors.arrays import Array


class Bench:
    """The libraries, the arguments and the reference of the task at hand."""

    def __init__(self) -> None:
        self.functions: dict[str, Any] = {}
        self.copies: list[list[Any]] = []
        self.outputs: list[Any] = []
        self.references: list[Array] = []

    def prepare(
        self, arguments: list[Any], outputs: list[Any], seed: int, rotation_bytes: int, reference: str
    ) -> dict[str, Any]:
        """Make the arguments of a task ([shape, dtype, constant] each) and run the default schedule on them."""
        self.functions.clear()
        arrays = make_arrays(arguments, seed)
        constants = sum(array.nbytes for array, (_, _, constant) in zip(arrays, arguments, strict=True) if constant)
        count = min(-(-rotation_bytes // constants), ROTATION_COPIES_MAX) if constants else 1
        shared = [self._tensor(array) for array in arrays]
        self.copies = [
            [
                self._tensor(array) if constant and copy else first
                for array, first, (_, _, constant) in zip(arrays, shared, arguments, strict=True)
            ]
            for copy in range(count)
        ]
        self.outputs = [self._tensor(np.zeros(shape, dtype)) for shape, dtype, _ in outputs]
        self.references = []
        self._run_clean(reference)
        self.references = [output.numpy() for output in self.outputs]
        return {}

    def check(self, library: str) -> dict[str, Any]:
        """Run a candidate once and compare. Gives the seconds of that run and the reason why its numbers are wrong."""
        seconds = self._run_clean(library)
        for output, reference in zip(self.outputs, self.references, strict=True):
            wrong = difference(output.numpy(), reference)
            if wrong:
                return {"seconds": seconds, "wrong": wrong}
        return {"seconds": seconds, "wrong": ""}

    def time(self, library: str) -> dict[str, Any]:
        """Time one round of calls: the median, in seconds."""
        function = self._load(library)
        clock, copies, outputs = time.perf_counter, self.copies, self.outputs
        function(*copies[-1], *outputs)
        start = clock()
        function(*copies[0], *outputs)
        calls = int(ROUND_SECONDS / max(clock() - start, 1e-7))
        calls = max(ROUND_CALLS_MIN, min(calls, ROUND_CALLS_MAX))
        times = []
        for call in range(calls):
            arguments = (*copies[(call + 1) % len(copies)], *outputs)
            start = clock()
            function(*arguments)
            times.append(clock() - start)
        return {"seconds": float(np.median(times))}

    def limit(self, library: str, lanes: int, cores: int) -> dict[str, Any]:
        """Measure how many multiply-adds all cores do at most, in float operations a second."""
        function = tvm.runtime.load_module(library)["main"]
        half = tvm.runtime.tensor(np.full(lanes, 0.5, "float32"))
        output = tvm.runtime.empty((cores, CHAINS, lanes), "float32")
        best = float("inf")
        for _ in range(20):
            start = time.perf_counter()
            function(half, output)
            best = min(best, time.perf_counter() - start)
        return {"flops": multiply_add_operations(lanes, cores) / best}

    def _load(self, library: str) -> Any:
        if library not in self.functions:
            self.functions[library] = tvm.runtime.load_module(library)["main"]
        return self.functions[library]

    def _run_clean(self, library: str) -> float:
        """Run once into outputs that hold no answer yet; return the seconds."""
        for output in self.outputs:
            output.copyfrom(no_answer(output.numpy()))
        function = self._load(library)
        start = time.perf_counter()
        function(*self.copies[0], *self.outputs)
        self._wait()
        return time.perf_counter() - start

    def _tensor(self, array: Array) -> Any:
        """Return a tensor of the array's contents where the code runs."""
        return tvm.runtime.tensor(array)

    def _wait(self) -> None:
        """Wait until what was begun is done: on a processor it is."""


def read_target(fields: dict[str, Any]) -> TargetSpec:
    """Return the target as JSON carried it: lists back to tuples."""
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
    values["attributes"] = tuple((key, value) for key, value in fields["attributes"])
    return TargetSpec(**values)


def make_arrays(arguments: list[Any], seed: int) -> list[Array]:
    """Make random arguments: floats in [-1, 1); integers are zero, as they may be indices."""
    random = np.random.default_rng(seed)
    return [
        random.uniform(-1, 1, shape).astype(dtype) if dtype.startswith("float") else np.zeros(shape, dtype)
        for shape, dtype, _ in arguments
    ]


def no_answer(array: Array) -> Array:
    """Return an array like `array` of what no function computes by chance: NaN, or the type's least value."""
    fill = (
        np.nan if np.issubdtype(array.dtype, np.floating) else np.iinfo(array.dtype).min if array.dtype != bool else 1
    )
    return np.full_like(array, fill)


def difference(found: Array, reference: Array) -> str:
    """Return how `found` differs from `reference` beyond rounding; nothing where it does not."""
    if not np.issubdtype(reference.dtype, np.floating):
        return "" if np.array_equal(found, reference) else "wrong integers"
    expected, got = reference.astype(np.float64), found.astype(np.float64)
    same = (expected == got) | (np.isnan(expected) & np.isnan(got))
    if same.all():
        return ""
    scale = float(np.max(np.abs(expected), where=np.isfinite(expected), initial=0.0))
    error = float(np.max(np.abs(expected - got), where=~same, initial=0.0))
    tolerance = HALF_TOLERANCE if reference.dtype == np.float16 else RELATIVE_TOLERANCE
    if np.isfinite(error) and error <= tolerance * max(scale, 1e-30):
        return ""
    return f"wrong numbers: error {error:.2g} where the largest output is {scale:.2g}"
