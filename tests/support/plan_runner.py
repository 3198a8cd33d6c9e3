"""Run an artifact by its plan, without TVM, and hold it against TVM's virtual machine, bit for bit.

    python tests/support/plan_runner.py ARTIFACT [ARTIFACT ...]       # a process of its own; prints JSON, a line each

One arena of bytes, mapped weights, kernels of `model.so` called in the plan's order: what a small runtime will do.
TVM's own is loaded afterwards.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ovenbird_runtime.artifact.artifact import Artifact, open_artifact
from ovenbird_runtime.artifact.plan import Buffer, PlanEntry
from ovenbird_runtime.artifact.variant import choose_variant
from ovenbird_runtime.machine.cpu import this_machine
from ovenbird_runtime.manifest.manifest import Target, TensorSpec
from ovenbird_runtime.preprocess import interpreted
from ovenbird_runtime.preprocess.preprocessor import Preprocessor
from ovenbird_runtime.tensors.arrays import aligned_empty
from support.bare_kernels import BareLibrary

Array = np.ndarray[Any, Any]


class PlannedProgram:
    """One entry of a plan with its memory: `run` takes and gives arrays in the manifest's order."""

    def __init__(
        self, entry: PlanEntry, library: BareLibrary, weights: list[Array], inputs: Sequence[TensorSpec]
    ) -> None:
        self.inputs = [aligned_empty(spec.with_batch(entry.batch), spec.dtype) for spec in inputs]
        self.arena = aligned_empty((entry.arena_bytes,), "uint8")
        self.arena[:] = 0xA5  # what reads it where nobody wrote gives another answer
        constants = [np.frombuffer(bytes.fromhex(text), np.uint8) for text in entry.constants]
        memory = [aligned_empty(data.shape, "uint8") for data in constants]
        for place, data in zip(memory, constants, strict=True):
            place[:] = data
        given = {"input": self.inputs, "weight": weights, "constant": memory}
        self.views = [self._view(buffer, given) for buffer in entry.buffers]
        self.calls = [
            library.bind(call.kernel, [self.views[index] for index in (*call.reads, *call.writes)])
            for call in entry.calls
        ]
        self.outputs = entry.outputs

    def _view(self, buffer: Buffer, given: dict[str, list[Array]]) -> Array:
        if buffer.place == "arena":
            memory = self.arena[buffer.at : buffer.at + buffer.nbytes]
        else:
            memory = given[buffer.place][buffer.at].reshape(-1).view(np.uint8)
        return memory.view(buffer.dtype).reshape(buffer.shape)

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Call every kernel in order."""
        for memory, array in zip(self.inputs, inputs, strict=True):
            memory[...] = array
        for call in self.calls:
            call()
        return [self.views[index].copy() for index in self.outputs]


def some_inputs(specs: Sequence[TensorSpec], batch: int, seed: int) -> list[Array]:
    """Return random inputs: normal floats, small whole numbers."""
    random = np.random.default_rng(seed)
    return [
        random.standard_normal(spec.with_batch(batch)).astype(spec.dtype)
        if spec.dtype.startswith("float")
        else random.integers(0, 2, spec.with_batch(batch)).astype(spec.dtype)
        for spec in specs
    ]


def compare(folder: Path) -> dict[str, Any]:
    """Run every entry of the plan on two inputs in turn, and the virtual machine on the same."""
    artifact = open_artifact(folder)
    manifest = artifact.manifest
    variant, target = choose_variant(artifact, "cpu", this_machine())
    plan = artifact.read_plan(variant, target)
    assert plan is not None, f"{folder} has no plan"
    library = BareLibrary(folder / variant.path / "model.so")
    mapped = {name: artifact.map(name) for name in sorted({tensor.file for tensor in target.tensors})}
    weights = [mapped[tensor.file].view(tensor.offset, tensor.dtype, tensor.shape) for tensor in target.tensors]
    given: list[tuple[PlanEntry, list[Array], list[Array]]] = []
    for entry in plan.entries:
        planned = PlannedProgram(entry, library, weights, manifest.inputs)
        for seed in (0, 1):  # the second finds the first one's values in the arena
            inputs = some_inputs(manifest.inputs, entry.batch, seed)
            given.append((entry, inputs, planned.run(inputs)))
    assert not library.scratch, "scratch memory was not given back"
    pictures = pre_process(artifact, target, library)
    assert not {"tvm", "tvm_ffi"} & set(sys.modules)
    return {
        "compiled": [entry.batch for entry in target.entries],
        "planned": [entry.batch for entry in plan.entries],
        "calls": [len(entry.calls) for entry in plan.entries],
        "arena_bytes": [entry.arena_bytes for entry in plan.entries],
        "launches": library.launches,
        "largest_scratch": library.largest_scratch,
        "pictures": pictures,
        "same": same(folder, given),
    }


def pre_process(artifact: Artifact, target: Target, library: BareLibrary) -> list[bool]:
    """Pre-process a picture by each of the artifact's pipelines: whether compiled code gives what Pillow gives."""
    from PIL import Image

    pixels = np.random.default_rng(3).integers(0, 256, (231, 317, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    compiled = Preprocessor(
        lambda *arguments: library.call(target.resample, list(arguments)),
        lambda *arguments: library.call(target.resample_linear, list(arguments)),
    )
    found = []
    for pipeline in artifact.manifest.preprocess.pipelines.values():
        expected = interpreted.apply(pipeline, image, seed=1)
        found.append(compiled.apply(pipeline, image, seed=1).tobytes() == expected.tobytes())
    return found


def same(folder: Path, given: list[tuple[PlanEntry, list[Array], list[Array]]]) -> list[bool]:
    """Say for each output of each run whether TVM's virtual machine gives the same bits."""
    import ovenbird_runtime

    found = []
    with ovenbird_runtime.load(folder, threads=2, workers=1) as model:
        for _, inputs, outputs in given:
            named = {spec.name: array for spec, array in zip(model.inputs, inputs, strict=True)}
            expected = model.run(named)
            for spec, array in zip(model.outputs, outputs, strict=True):
                found.append(array.tobytes() == expected[spec.name].tobytes())
                assert np.ptp(array.astype(np.float64)) > 0, f"{spec.name} says nothing"
    return found


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        print(json.dumps(compare(Path(argument)) | {"artifact": argument}))
