"""Run an artifact by its plan, as a runtime without TVM would, and hold it against TVM's virtual machine, bit for bit.

    python tests/support/plan_runner.py ARTIFACT [ARTIFACT ...]       # a process of its own, without the compiler

One arena of bytes, weights mapped, kernels of `model.so` called by name in the plan's order; TVM's runtime library
stands in for the few functions that kernels need (docs/explanation/plan.md). Prints JSON: what was compared.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

import ovenbird_runtime
from ovenbird_runtime.artifact.artifact import Artifact, open_artifact
from ovenbird_runtime.artifact.manifest import Target, TensorSpec
from ovenbird_runtime.artifact.plan import Buffer, Plan, PlanEntry
from ovenbird_runtime.artifact.variant import choose_variant
from ovenbird_runtime.engine.ffi import import_ffi
from ovenbird_runtime.engine.libraries import load_library
from ovenbird_runtime.machine.cpu import this_machine
from ovenbird_runtime.tensors.arrays import aligned_empty

Array = np.ndarray[Any, Any]


class PlannedProgram:
    """One entry of a plan with its memory: `run` takes and gives arrays in the manifest's order."""

    def __init__(self, entry: PlanEntry, module: Any, weights: list[Array], inputs: list[TensorSpec]) -> None:
        ffi = import_ffi()
        self.inputs = [aligned_empty(spec.with_batch(entry.batch), spec.dtype) for spec in inputs]
        self.arena = aligned_empty((entry.arena_bytes,), "uint8")
        self.arena[:] = 0xA5  # a kernel that reads what no kernel wrote is seen
        constants = [np.frombuffer(bytes.fromhex(text), np.uint8) for text in entry.constants]
        self.constants = [aligned_empty(data.shape, "uint8") for data in constants]
        for memory, data in zip(self.constants, constants, strict=True):
            memory[:] = data
        given = {"input": self.inputs, "weight": weights, "constant": self.constants}
        self.views = [self._view(buffer, given) for buffer in entry.buffers]
        tensors = [ffi.from_dlpack(view) for view in self.views]
        functions = {call.kernel: module.get_function(call.kernel, query_imports=True) for call in entry.calls}
        self.calls = [
            (functions[call.kernel], [tensors[index] for index in (*call.reads, *call.writes)]) for call in entry.calls
        ]
        self.outputs = entry.outputs

    def _view(self, buffer: Buffer, given: dict[str, list[Array]]) -> Array:
        if buffer.place == "arena":
            memory = self.arena[buffer.at : buffer.at + buffer.nbytes]
        else:
            memory = given[buffer.place][buffer.at].reshape(-1).view(np.uint8)
        return memory.view(buffer.dtype).reshape(buffer.shape)

    def run(self, inputs: list[Array]) -> list[Array]:
        """Call every kernel in order."""
        for memory, array in zip(self.inputs, inputs, strict=True):
            memory[...] = array
        for function, arguments in self.calls:
            function(*arguments)
        return [self.views[index].copy() for index in self.outputs]


def open_plan(folder: Path) -> tuple[Artifact, Target, Plan, Any, list[Array]]:
    """Give an artifact's plan, its loaded code and its mapped weights, as of the variant that runs here."""
    artifact = open_artifact(folder)
    variant, target = choose_variant(artifact, "cpu", this_machine())
    plan = artifact.read_plan(variant, target)
    assert plan is not None, f"{folder} has no plan"
    module = load_library(import_ffi(), artifact.seal(f"{variant.path}/model.so"))
    mapped = {name: artifact.map(name) for name in sorted({tensor.file for tensor in target.tensors})}
    weights = [mapped[tensor.file].view(tensor.offset, tensor.dtype, tensor.shape) for tensor in target.tensors]
    open_plan.kept = mapped  # type: ignore[attr-defined]  # the views need the mappings
    return artifact, target, plan, module, weights


def some_inputs(specs: list[TensorSpec], batch: int, seed: int) -> list[Array]:
    """Give random inputs: normal floats, small whole numbers."""
    random = np.random.default_rng(seed)
    return [
        random.standard_normal(spec.with_batch(batch)).astype(spec.dtype)
        if spec.dtype.startswith("float")
        else random.integers(0, 2, spec.with_batch(batch)).astype(spec.dtype)
        for spec in specs
    ]


def compare(folder: Path) -> dict[str, Any]:
    """Run every entry of the plan on two inputs in turn, and the virtual machine on the same."""
    artifact, target, plan, module, weights = open_plan(folder)
    manifest = artifact.manifest
    found: dict[str, Any] = {"entries": [], "compiled": [entry.batch for entry in target.entries]}
    import_ffi().get_global_func("runtime.config_threadpool")(0, 2, ["0", "1"])
    with ovenbird_runtime.load(folder, threads=2, workers=1) as model:
        for entry in plan.entries:
            planned = PlannedProgram(entry, module, weights, list(manifest.inputs))
            same = []
            for seed in (0, 1):  # the second finds the first one's values in the arena
                inputs = some_inputs(list(manifest.inputs), entry.batch, seed)
                names = [spec.name for spec in manifest.inputs]
                expected = model.run(dict(zip(names, inputs, strict=True)))
                given = planned.run(inputs)
                for spec, array in zip(manifest.outputs, given, strict=True):
                    same.append(array.tobytes() == expected[spec.name].tobytes())
                    assert np.ptp(array.astype(np.float64)) > 0, f"{spec.name} says nothing"
            found["entries"].append(
                {"batch": entry.batch, "calls": len(entry.calls), "arena_bytes": entry.arena_bytes, "same": same}
            )
    return found


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        print(argument, json.dumps(compare(Path(argument))))
