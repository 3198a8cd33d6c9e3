"""ONNX's node tests as networks: data stay inputs, parameters become constants, as exporters write them.

    for case in collect(): case.name, case.operator, case.model, case.inputs, case.expected

Kept are the tests whose tensors are all of the dtypes below. A test "..._expanded" has the body of an operator in the
operator's place; it belongs to that operator.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

Array = np.ndarray[Any, np.dtype[Any]]

DTYPES = {"float16", "float32", "float64", "int8", "int32", "int64", "uint8", "bool"}

RANDOM = {"Bernoulli", "RandomUniform", "RandomUniformLike", "RandomNormal", "RandomNormalLike", "Multinomial"}
"""Nothing can be compared with what is drawn at random."""

PASSENGER = "passenger"
BESIDE = (PASSENGER, "passenger_out")

ALL = range(99)
PARAMETERS: Mapping[str, range | tuple[int, ...]] = {
    "AffineGrid": (1,), "BatchNormalization": (1, 2, 3, 4), "BlackmanWindow": ALL, "CenterCropPad": (1,),
    "Clip": (1, 2), "Col2Im": (1, 2), "Compress": (1,), "ConstantOfShape": ALL, "Conv": (1, 2),
    "ConvInteger": (1, 2, 3), "ConvTranspose": (1, 2), "CumProd": (1,), "CumSum": (1,), "DFT": (1, 2),
    "DeformConv": (1, 3), "DequantizeLinear": (1, 2), "Dropout": (1, 2), "Expand": (1,), "GRU": (1, 2, 3, 4),
    "Gemm": (1, 2), "GroupNormalization": (1, 2), "HammingWindow": ALL, "HannWindow": ALL,
    "InstanceNormalization": (1, 2), "LSTM": (1, 2, 3, 4, 7), "LayerNormalization": (1, 2), "MatMulInteger": (2, 3),
    "MaxUnpool": (2,), "MelWeightMatrix": ALL, "NonMaxSuppression": (2, 3, 4), "OneHot": (1, 2), "PRelu": (1,),
    "Pad": (1, 2, 3), "QLinearConv": (1, 2, 3, 4, 5, 6, 7, 8), "QLinearMatMul": (1, 2, 4, 5, 6, 7),
    "QuantizeLinear": (1, 2), "RMSNormalization": (1,), "RNN": (1, 2, 3, 4), "Range": ALL, "ReduceL1": (1,),
    "ReduceL2": (1,), "ReduceLogSum": (1,), "ReduceLogSumExp": (1,), "ReduceMax": (1,), "ReduceMean": (1,),
    "ReduceMin": (1,), "ReduceProd": (1,), "ReduceSum": (1,), "ReduceSumSquare": (1,), "Reshape": (1,),
    "Resize": (1, 2, 3), "ReverseSequence": (1,), "STFT": (1, 2, 3), "Slice": (1, 2, 3, 4), "Split": (1,),
    "Squeeze": (1,), "Tile": (1,), "TopK": (1,), "Trilu": (1,), "Unsqueeze": (1,), "Upsample": (1,),
}  # fmt: skip
"""Which inputs of an operator are parameters: shapes, axes, sizes, and the weights of layers."""


@dataclass(frozen=True)
class Case:
    """One test: a network, what it is given, and what it must answer."""

    name: str
    operator: str
    model: Any
    inputs: dict[str, Array]
    expected: tuple[Array, ...]
    rtol: float
    atol: float


def collect() -> list[Case]:
    """Return all tests that can be tried, in the order of their names."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        tests = {test.name: test for test in collect_testcases(None)}
    cases: list[Case] = []
    for name, test in sorted(tests.items()):
        original = tests.get(name.split("_expanded")[0], test)
        cases += _cases(name, test, original.model.graph)
    return cases


def collect_once(file: Path) -> list[Case]:
    """Return all tests, kept in a file: collecting them takes half a minute."""
    if not file.is_file():
        file.write_bytes(pickle.dumps(collect()))
    found: list[Case] = pickle.loads(file.read_bytes())
    return found


def _cases(name: str, test: Any, original: Any) -> Iterator[Case]:
    if not original.node or test.model.graph.node[0].op_type in RANDOM or original.node[0].op_type in RANDOM:
        return
    node = original.node[0]
    parameters = {
        node.input[index] for index in PARAMETERS.get(node.op_type, ()) if index < len(node.input) and node.input[index]
    }
    for given, expected in test.data_sets[:1]:
        if not all(_kept(array) for array in (*given, *expected)):
            return
        arrays = dict(zip((value.name for value in test.model.graph.input), map(np.asarray, given), strict=False))
        model = with_constants(test.model, {key: arrays[key] for key in parameters if key in arrays})
        data = {key: array for key, array in arrays.items() if key not in parameters}
        answers = tuple(np.asarray(array) for array in expected)
        if not data:
            data = {PASSENGER: np.ones(1, np.float32)}
            answers = (*answers, data[PASSENGER])
            with_passenger(model)
        yield Case(name, node.op_type, model, data, answers, test.rtol, test.atol)


def _kept(value: Any) -> bool:
    return isinstance(value, (np.ndarray, np.generic)) and value.dtype.name in DTYPES


def with_passenger(model: Any) -> None:
    """Let the model hand one more input through: a network has an input."""
    described = {name: onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in BESIDE}
    model.graph.node.append(onnx.helper.make_node("Identity", [PASSENGER], [BESIDE[1]]))
    model.graph.input.append(described[PASSENGER])
    model.graph.output.append(described[BESIDE[1]])


def with_constants(model: Any, constants: Mapping[str, Array]) -> Any:
    """Return the model with these inputs as initializers."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    inputs = [value for value in result.graph.input if value.name not in constants]
    del result.graph.input[:]
    result.graph.input.extend(inputs)
    result.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in constants.items())
    return result
