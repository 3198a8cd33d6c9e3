"""Models of few nodes, compiled many at a time, and what ONNX itself answers for them.

small = Small("Pad", {"x": image}, {"pads": np.array([0, 1, 0, 1])}, mode="wrap")
run_together([small, ...])                     # one list of arrays a model
small.expected()
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tvm
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from tvm import relax

from ovenbird.backends.building import build_module
from ovenbird.lowering.entry_key import EntryKey
from ovenbird.networks.onnx.importing import import_model
from ovenbird.networks.onnx.reference import OnnxReference
from ovenbird.passes.bound_indices import bound_indices
from ovenbird.targets import load_target
from support.guarded import GUARD_PAGES, run_all_guarded

Array = np.ndarray[Any, np.dtype[Any]]


class Small:
    """One operator: `inputs` are given when it runs, `constants` are in the model; None is left out.

    `by_runtime`: ONNX's evaluator is wrong here (old versions, places of pooling), ONNX Runtime is not.
    """

    by_runtime = False

    def __init__(
        self,
        operator: str,
        inputs: Mapping[str, Array],
        constants: Mapping[str, Array | None] | None = None,
        *,
        opset: int = 22,
        outputs: int = 1,
        types: Sequence[Any] = (),
        by_runtime: bool = False,
        **attributes: Any,
    ) -> None:
        self.inputs = dict(inputs)
        held = {name: np.asarray(array) for name, array in (constants or {}).items() if array is not None}
        self.by_runtime = by_runtime
        names = [name if name in held or name in inputs else "" for name in (*inputs, *(constants or ()))]
        results = [f"y{index}" for index in range(outputs)]
        dtypes = list(types) or [next(iter(inputs.values())).dtype] * outputs
        self.label = f"{operator} {' '.join(f'{key}={value}' for key, value in attributes.items())}".strip()
        graph = helper.make_graph(
            [helper.make_node(operator, names, results, name="node", **attributes)],
            "small",
            [tensor_info(name, array.dtype, array.shape) for name, array in inputs.items()],
            [tensor_info(name, np.dtype(dtype), None) for name, dtype in zip(results, dtypes, strict=True)],
            [numpy_helper.from_array(array, name) for name, array in held.items()],
        )
        self.model = model_of(graph, opset)

    def relax(self) -> tvm.IRModule:
        """Import the model."""
        return bound_indices(import_model(self.model, {name: array.shape for name, array in self.inputs.items()}))

    def expected(self) -> list[Array]:
        """Return what ONNX's evaluator answers, or ONNX Runtime where `by_runtime`."""
        if self.by_runtime:
            return OnnxReference.of(self.model).run(self.inputs)
        with np.errstate(all="ignore"):
            return [np.asarray(found) for found in ReferenceEvaluator(self.model).run(None, self.inputs)]


def tensor_info(name: str, dtype: Any, shape: Sequence[Any] | None) -> Any:
    """Describe a tensor of the graph."""
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)


def model_of(graph: Any, opset: int = 22, **options: Any) -> Any:
    """Return the model around a graph."""
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=10, **options)


def saved(model: Any, folder: Path) -> Path:
    """Write a model and return its file."""
    path = folder / "net.onnx"
    onnx.save(model, str(path))
    return path


def run_together(smalls: Sequence[Small]) -> list[list[Array]]:
    """Compile the models into one library for this machine and return each one's outputs."""
    modules = {EntryKey(f"small{index}"): small.relax() for index, small in enumerate(smalls)}
    built = build_module(modules, load_target("host"))
    machine = relax.VirtualMachine(built.executable, tvm.cpu())
    found = []
    for entry, small in zip(built.entries, smalls, strict=True):
        given = [tvm.runtime.tensor(np.array(array, order="C")) for array in small.inputs.values()]
        weights = [tvm.runtime.tensor(built.tensors[index]) for index in entry.weights]
        found.append([tensor.numpy() for tensor in machine[entry.function](*given, *weights)])
    if os.environ.get(GUARD_PAGES):
        guarded = run_all_guarded(built, [list(small.inputs.values()) for small in smalls])
        assert guarded is not None, f"no plan: {built.unplanned}"
        for given, expected in zip(guarded, found, strict=True):
            for one, two in zip(given, expected, strict=True):
                np.testing.assert_array_equal(one, two)
    return found
