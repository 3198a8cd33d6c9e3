"""The choices before lowering, by measurement: which algorithm computes each 3x3 convolution of the network.

    keys = Recorder(choices); lower_networks(modules, machine, keys)    # keys.missing: shapes nobody measured
    measure_algorithms(keys.missing, machine, builder, measurer, show)     # {"conv3x3 float32 n1 64->64 56x56": ...}

Each algorithm is timed by its default schedule, with bias and ReLU behind it, as the network has them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
import tvm
from tvm import relax

from ovenbird.backends.cpu.algorithms import ALGORITHMS, Algorithm, ConvolutionShape
from ovenbird.backends.cpu.machine import Machine
from ovenbird.backends.cpu.pipeline import lower_networks
from ovenbird.backends.cpu.tuning.design_space import DesignSpaces
from ovenbird.lowering.entry_key import EntryKey
from ovenbird.measure.candidates import Builder
from ovenbird.measure.limits import CONFIRM_ROUNDS
from ovenbird.measure.measuring import Measurer
from ovenbird.measure.tasks import Task, extract_tasks

MARGIN = 0.97
"""An algorithm further from float64 must be this much faster to be chosen."""


class Recorder(dict[str, Algorithm]):
    """Choices as the lowering asks for them; keeps in `missing` what it asked and nobody knew."""

    def __init__(self, known: dict[str, str]) -> None:
        super().__init__({key: name for key, name in known.items() if name in ALGORITHMS})
        self.missing: list[str] = []

    def __bool__(self) -> bool:
        """Return True: an empty dictionary would not be asked."""
        return True

    def __contains__(self, key: object) -> bool:
        """Return whether a choice is known."""
        known = super().__contains__(key)
        if not known and str(key) not in self.missing:
            self.missing.append(str(key))
        return known


def parse_shape(key: str) -> ConvolutionShape:
    """Return the shape that a key names. Raises ValueError."""
    numbers = re.fullmatch(r"conv3x3 (\w+) n(\d+) (\d+)->(\d+) (\d+)x(\d+)", key)
    if not numbers:
        raise ValueError(f"{key!r} names no convolution")
    batch, inputs, outputs, height, width = map(int, numbers.groups()[1:])
    return ConvolutionShape(batch, inputs, outputs, height, width, numbers[1])


def convolution(shape: ConvolutionShape) -> tvm.IRModule:
    """Return a network of one 3x3 convolution, bias and ReLU, as it is imported."""
    random = np.random.default_rng(0)
    builder = relax.BlockBuilder()
    data = relax.Var("data", relax.TensorType((shape.batch, shape.inputs, shape.height, shape.width), shape.dtype))
    kernel = random.uniform(-1, 1, (shape.outputs, shape.inputs, 3, 3)).astype(shape.dtype)
    bias = random.uniform(-1, 1, (1, shape.outputs, 1, 1)).astype(shape.dtype)
    with builder.function("main", [data]):
        with builder.dataflow():
            summed = builder.emit(relax.op.nn.conv2d(data, relax.const(kernel), padding=1))
            shifted = builder.emit(relax.op.add(summed, relax.const(bias)))
            output = builder.emit_output(relax.op.nn.relu(shifted))
        builder.emit_func_output(output)
    return builder.get()


def algorithm_task(key: str, algorithm: Algorithm, machine: Machine) -> Task:
    """Return the convolution's function when it is computed by `algorithm`."""
    shape = parse_shape(key)
    networks = {EntryKey(batch=shape.batch): convolution(shape)}
    return max(
        extract_tasks(lower_networks(networks, machine, {key: algorithm}), networks), key=lambda task: task.layer.flops
    )


def measure_algorithms(
    keys: Sequence[str], machine: Machine, builder: Builder, measurer: Measurer, show: Callable[[str], None]
) -> dict[str, str]:
    """Time every algorithm on every shape; return the fastest of each."""
    jobs: list[tuple[str, Algorithm, Task]] = []
    for key in keys:
        show(f"preparing {key}")
        jobs += [(key, algorithm, algorithm_task(key, algorithm, machine)) for algorithm in ALGORITHMS]
    show(f"building {len(jobs)} convolutions")
    builds = builder.build([DesignSpaces.of(task.module, machine).starts[0].mod for _, _, task in jobs])
    times: dict[str, dict[str, float]] = {key: {} for key in keys}
    for number, ((key, algorithm, task), built) in enumerate(zip(jobs, builds, strict=True)):
        if built.library is None:
            continue
        show(f"measuring {key} by {algorithm}")
        task.index = -1 - number  # a task of its own for the measurer
        seconds = measurer.measure(task, built.library, [built.library], CONFIRM_ROUNDS)[0].seconds
        if seconds is not None:
            times[key][algorithm] = seconds
        built.library.unlink(missing_ok=True)
    return {key: fastest(found) for key, found in times.items() if found}


def fastest(times: dict[str, float]) -> str:
    """Return the fastest algorithm; an earlier one is closer to float64, so a later one must be clearly faster."""
    best = next(algorithm for algorithm in ALGORITHMS if algorithm in times)
    for algorithm in ALGORITHMS:
        if algorithm in times and times[algorithm] < times[best] * MARGIN:
            best = algorithm
    return best
