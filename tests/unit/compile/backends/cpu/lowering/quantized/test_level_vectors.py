"""The conformance vectors of levels (`conformance/levels`), compiled for each instruction set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tvm import relax

from support import level_vectors
from support.qdq import Floats, Grid, Levels, Qdq

from .conftest import build, run, targets

VECTORS = Path(__file__).resolve().parents[7] / "conformance/levels/cases.json"
CASES: dict[str, list[dict[str, Any]]] = json.loads(VECTORS.read_text(encoding="utf-8"))


def given(network: Qdq, array: np.ndarray) -> Floats:
    """Return an input of floats."""
    parameter = relax.Var(f"x{len(network.parameters)}", relax.TensorType(array.shape, "float32"))
    network.parameters.append(parameter)
    network.inputs.append(array)
    return Floats(network, parameter, array)


def given_levels(network: Qdq, case: dict[str, Any]) -> Levels:
    """Return an input whose levels are a case's."""
    grid = Grid(case["scale"], case["zero"])
    return given(network, grid.values(np.array(case["levels"], np.uint8))).quantize(grid)


def build_case(network: Qdq, kind: str, case: dict[str, Any]) -> Levels:
    """Write one case into the network."""
    grid = Grid(case["scale"], case["zero"])
    if kind == "quantize":
        return given(network, np.array(case["values"], np.float32)).quantize(grid)
    weights = case["weights"]
    scales = np.array(weights["scales"], np.float32)
    sums = network.matmul(given_levels(network, case["data"]), np.array(weights["levels"], np.int8), scales)
    if case["bias"] is not None:
        sums = sums.add_bias(np.array(case["bias"], np.float32))
    if case["residual"] is not None:
        sums = sums.add(given_levels(network, case["residual"]))
    if case["clip"] is not None:
        low, high = case["clip"]
        sums = sums.relu() if high is None else sums.clip(low, high)
    return sums.quantize(grid)


@pytest.mark.parametrize("target", targets())
def test_code_gives_the_levels_of_the_vectors(target: str) -> None:
    network = Qdq()
    every = [(kind, case) for kind, some in CASES.items() for case in some]
    for kind, case in every:
        network.output(build_case(network, kind, case))
    module, inputs, _ = network.finish()
    for (_, case), found in zip(every, run(build(module, target), inputs), strict=True):
        grid = Grid(case["scale"], case["zero"])
        np.testing.assert_array_equal(found, grid.values(np.array(case["levels"], np.uint8)), case["rule"])


def test_the_vectors_are_what_the_definition_gives() -> None:
    assert level_vectors.cases() == CASES
