"""What ONNX Runtime says of a model, and who answers where it cannot."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from ovenbird.errors import NetworkUnreadable, UnsupportedOperator, UsageError
from ovenbird.networks.onnx.files.versions import updated
from ovenbird.networks.onnx.reference import EVALUATOR, RUNTIME, OnnxReference
from ovenbird.networks.onnx.source import OnnxSource
from support.onnx_models import Small, model_of, saved

ROWS = np.float32([[1, -2], [3, -4]])


def test_onnx_runtime_answers_whatever_the_version_of_the_file() -> None:
    model = Small("Relu", {"x": ROWS}).model
    model.ir_version = 14  # newer than ONNX Runtime reads
    reference = OnnxReference.of(model)
    assert reference.name == RUNTIME
    assert model.ir_version == 14
    assert reference.run({"x": ROWS})[0].tolist() == [[1, 0], [3, 0]]


def test_the_evaluator_answers_for_operators_that_onnx_runtime_lacks() -> None:
    small = Small("Swish", {"x": ROWS}, opset=24)
    reference = OnnxReference.of(small.model)
    if reference.name == RUNTIME:
        pytest.skip("this ONNX Runtime has Swish")
    assert reference.name == EVALUATOR
    np.testing.assert_allclose(reference.run({"x": ROWS})[0], ROWS / (1 + np.exp(-ROWS)), rtol=1e-6)


def test_small_probabilities_keep_their_digits() -> None:
    logits = np.float32([[-80, -16, -1, 0, 2, 30]])
    reference = OnnxReference.of(Small("Sigmoid", {"x": logits}).model)
    assert reference.name == RUNTIME
    right = 1 / (1 + np.exp(-logits.astype(np.float64)))
    np.testing.assert_allclose(reference.run({"x": logits})[0], right, rtol=1e-5)
    wide = OnnxReference.of(Small("Sigmoid", {"x": logits.astype(np.float64)}).model)
    assert wide.name == RUNTIME
    np.testing.assert_allclose(wide.run({"x": logits.astype(np.float64)})[0], right, rtol=1e-12, atol=1e-15)


def test_a_model_that_onnx_runtime_refuses_is_told_as_such() -> None:
    small = Small("MatMul", {"a": ROWS, "b": np.zeros((3, 3), np.float32)})
    with pytest.raises(NetworkUnreadable, match=r"ONNX Runtime refuses the model: .*MatMul") as caught:
        OnnxReference.of(small.model)
    assert "\n" not in str(caught.value)


def test_inputs_that_it_cannot_run_are_told_as_such() -> None:
    small = Small("Gather", {"x": ROWS, "i": np.int64([7])})
    with pytest.raises(NetworkUnreadable, match=r"onnxruntime cannot run the model: .*Gather") as caught:
        OnnxReference.of(small.model).run(small.inputs)
    assert "\n" not in str(caught.value)


def test_an_input_that_is_an_axis_is_refused_before_anything_is_run(tmp_path: Path) -> None:
    path = saved(Small("ReduceSum", {"x": ROWS, "axes": np.int64([1])}).model, tmp_path)
    with pytest.raises(UnsupportedOperator, match=r"input 'axes' .* ReduceSum \(node\)"):
        OnnxSource.read(path, {})


def test_the_checker_says_which_node_or_tensor(tmp_path: Path) -> None:
    model = Small("Relu", {"x": ROWS}).model
    model.graph.node[0].input.append("x")
    with pytest.raises(NetworkUnreadable, match=r"input size 2 not in range.*node") as caught:
        OnnxSource.read(saved(model, tmp_path), {})
    assert "\n" not in str(caught.value)


def test_a_weight_of_another_size_is_named(tmp_path: Path) -> None:
    model = Small("Add", {"x": ROWS}, {"weight": ROWS}).model
    model.graph.initializer[0].raw_data = b"1234"
    with pytest.raises(NetworkUnreadable, match="weight"):
        OnnxSource.read(saved(model, tmp_path), {})


def versioned(model: Any, version: int) -> Any:
    model.opset_import[0].version = version
    return model


def test_versions_that_are_read() -> None:
    model = Small("Relu", {"x": ROWS}).model
    assert updated(model) is model
    with pytest.raises(NetworkUnreadable, match=r"of version 999, the onnx package here knows up to"):
        updated(versioned(model, 999))


def test_an_old_version_is_converted() -> None:
    old = versioned(Small("Add", {"x": ROWS}, {"c": np.float32([1, 2])}).model, 6)
    old.graph.node[0].attribute.append(helper.make_attribute("broadcast", 1))
    assert updated(old).opset_import[0].version == 7
    unknown = versioned(Small("Relu", {"x": ROWS}).model, 6)
    unknown.graph.node[0].op_type = "Upsample"
    with pytest.raises(NetworkUnreadable, match=r"of version 6, read are 7 to .*export it anew"):
        updated(unknown)


def test_a_layer_norm_of_before_it_was_onnxs_is_read(tmp_path: Path) -> None:
    small = Small("LayerNormalization", {"x": ROWS}, {"scale": np.ones(2, np.float32)}, opset=13, epsilon=0.01)
    source = OnnxSource.read(saved(small.model, tmp_path), {})
    assert source.framework == RUNTIME
    assert "layer_norm" in source.relax(None)["main"].script(show_meta=False)


def test_an_input_without_a_shape_is_given_one(tmp_path: Path) -> None:
    model = Small("Relu", {"x": ROWS}).model
    model.graph.input[0].type.tensor_type.ClearField("shape")
    path = saved(model, tmp_path)
    with pytest.raises(UsageError, match=r'input x has no shape; give it: --input-shapes "x:\[1,...\]"'):
        OnnxSource.read(path, {})
    assert OnnxSource.read(path, {"x": (3, 4)}).dims == ((3, 4),)


def test_a_shape_without_elements_is_refused(tmp_path: Path) -> None:
    path = saved(Small("Relu", {"x": ROWS}).model, tmp_path)
    with pytest.raises(UsageError, match="has no elements"):
        OnnxSource.read(path, {"x": (0, 2)})


@pytest.mark.parametrize(("stored", "given"), [("float16", "float16"), ("bfloat16", "float32")])
def test_half_precision_answers_as_it_is_compiled(stored: str, given: str, tmp_path: Path) -> None:
    kind = getattr(TensorProto, stored.upper())
    nodes = [
        helper.make_node("Cast", ["x"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["wide"], ["narrow"], to=kind),
        helper.make_node("Mul", ["narrow", "weight"], ["y"]),
    ]
    info = [helper.make_tensor_value_info(name, kind, [1, 2]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "half", info[:1], info[1:], [helper.make_tensor("weight", kind, [2], [3, 0.5])])
    source = OnnxSource.read(saved(model_of(graph), tmp_path), {})
    assert source.dtypes == (np.dtype(given),)
    main = source.relax(None)["main"]
    assert str(main.params[0].ty.dtype) == str(main.ret_ty.fields[0].dtype) == given
    (answer,) = source.reference([np.array([[1, 3]], given)])
    assert (answer.dtype, answer.tolist()) == (np.dtype(given), [[3, 1.5]])


def test_text_is_refused(tmp_path: Path) -> None:
    words = np.array(["a"], object)
    small = Small("StringNormalizer", {"x": words})
    with pytest.raises(UnsupportedOperator, match="computes in text"):
        OnnxSource.read(saved(small.model, tmp_path), {})
