"""What the tests of levels share: instruction sets, weights, and the way to run a library."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tvm
from tvm import relax

from ovenbird.backends.base import BuildOptions
from ovenbird.backends.building import build_module
from ovenbird.backends.cpu.packing import packing_of
from ovenbird.lowering.built import BuiltModule
from ovenbird.lowering.entry_key import EntryKey

from ...conftest import INSTRUCTION_SETS, processor_flags

Generator = np.random.Generator

TARGETS = {
    **INSTRUCTION_SETS,
    "vnni": dataclasses.replace(
        INSTRUCTION_SETS["avx512"],
        name="vnni",
        mcpu="cascadelake",
        features=(*INSTRUCTION_SETS["avx512"].features, "avx512_vnni"),
    ),
    "in blocks of 16": dataclasses.replace(INSTRUCTION_SETS["avx2"], name="in blocks of 16"),
    "plain": dataclasses.replace(INSTRUCTION_SETS["avx512"], name="plain", features=("avx512f", "avx512vl")),
}
"""Those of the other tests, one that adds up four products in an instruction, one whose vectors hold half a block of
channels, and one that leaves the sums to LLVM.
"""


def known_targets() -> list[str]:
    """Return those that this processor has."""
    return [name for name, target in TARGETS.items() if set(target.features) <= processor_flags()]


def widest() -> str:
    """Return the one that the fast tests are for."""
    return "vnni" if "vnni" in known_targets() else known_targets()[-1]


def targets() -> list[object]:
    """Return all; all but one are marked slow, for each has a library to build."""
    return [name if name == widest() else pytest.param(name, marks=pytest.mark.slow) for name in known_targets()]


def weights(generator: Generator, *shape: int) -> tuple[np.ndarray, np.ndarray]:
    """Return int8 weights, the extremes among them, and the scales of their outputs."""
    found = generator.integers(-127, 128, shape, np.int8)
    found.reshape(-1)[::5] = 127
    found.reshape(-1)[::9] = -127
    return found, generator.uniform(0.0005, 0.002, shape[0]).astype(np.float32)


def bias(generator: Generator, channels: int) -> np.ndarray:
    return generator.normal(0, 5, channels).astype(np.float32)


def build(module: tvm.IRModule, target: str) -> BuiltModule:
    """Compile a module for one of `TARGETS`."""
    packing = packing_of(TARGETS["avx512" if "blocks" in target else target], None)
    return build_module({EntryKey(): module}, TARGETS[target], BuildOptions(packing=packing))


def run(built: BuiltModule, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """Run a library on its one function."""
    machine = relax.VirtualMachine(built.executable, tvm.cpu())
    tensors = [tvm.runtime.tensor(array) for array in inputs]
    tensors += [tvm.runtime.tensor(built.tensors[index]) for index in built.entries[0].weights]
    result = machine[built.entries[0].function](*tensors)
    return [array.numpy() for array in ([result] if hasattr(result, "numpy") else result)]
