"""Networks whose batch a file fixes at one row: opened where the framework proves it, else run row by row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ovenbird.networks.any_batch import RowSource, any_batch
from ovenbird.networks.onnx.source import OnnxSource


def source(
    folder: Path, *nodes: onnx.NodeProto, shape: tuple[int | str, ...] = (1, 6), **constants: np.ndarray
) -> OnnxSource:
    graph = helper.make_graph(
        list(nodes),
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    path = folder / "net.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(onnx.shape_inference.infer_shapes(model), str(path))
    return OnnxSource.read(path, {})


def test_a_batch_that_only_the_shapes_fix_is_opened(tmp_path: Path) -> None:
    fixed = source(tmp_path, helper.make_node("Softmax", ["x"], ["y"], axis=1))
    found = any_batch(fixed)
    assert isinstance(found, OnnxSource)
    assert (fixed.batched, found.batched, found.one_row) == (False, True, False)
    assert [int(dim) for dim in found.relax(3)["main"].params[0].ty.shape.values] == [3, 6]
    rows = np.random.default_rng(0).standard_normal((2, 6)).astype("float32")
    np.testing.assert_allclose(found.reference([rows])[0][1:], fixed.reference([rows[1:]])[0], rtol=1e-6)


@pytest.mark.parametrize(("to", "open_batch"), [([1, 6], False), ([1, -1], False), ([-1, 6], True)])
def test_a_batch_that_is_open_in_name_only_is_run_row_by_row(tmp_path: Path, to: list[int], open_batch: bool) -> None:
    node = helper.make_node("Reshape", ["x", "to"], ["y"])
    named = source(tmp_path, node, shape=("batch", 2, 3), to=np.array(to))
    assert named.batched
    assert named.with_true_batch().batched == open_batch
    assert isinstance(any_batch(named.with_true_batch()), OnnxSource if open_batch else RowSource)


@pytest.mark.parametrize(
    ("nodes", "constants"),
    [
        ([helper.make_node("Reshape", ["x", "to"], ["y"])], {"to": np.array([1, 2, 3])}),  # two rows fail
        ([helper.make_node("Reshape", ["x", "to"], ["y"])], {"to": np.array([1, -1])}),  # two rows become one
        ([helper.make_node("Softmax", ["x"], ["y"], axis=0)], {}),  # rows change each other
        ([helper.make_node("CumSum", ["x", "axis"], ["y"])], {"axis": np.array(0)}),
    ],
)
def test_a_batch_that_the_arithmetic_fixes_is_run_row_by_row(
    tmp_path: Path, nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray]
) -> None:
    fixed = source(tmp_path, *nodes, **constants)
    found = any_batch(fixed)
    assert isinstance(found, RowSource)
    assert (found.batched, found.one_row) == (True, True)
    rows = np.random.default_rng(0).standard_normal((3, 6)).astype("float32")
    together = found.reference([rows])[0]
    for index in range(3):
        np.testing.assert_array_equal(together[index : index + 1], fixed.reference([rows[index : index + 1]])[0])
    assert found.examples(5)[0].shape == (5, 6)
    assert found.relax(1)["main"].params[0].ty.shape.values[0] == 1
    with pytest.raises(ValueError, match="one row"):
        found.relax(2)


def test_what_has_no_row_stays_as_it_is(tmp_path: Path) -> None:
    halves = source(tmp_path, helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0))
    assert any_batch(halves) is halves
    pairs = source(tmp_path, helper.make_node("Relu", ["x"], ["y"]), shape=(2, 6))
    assert any_batch(pairs) is pairs
