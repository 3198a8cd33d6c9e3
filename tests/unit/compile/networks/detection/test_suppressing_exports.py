"""SSDs that suppress within the ONNX file: refused by a line that says what to do, and what that then gives."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from ovenbird.errors import ImportFailed, NetworkUnreadable, UnsupportedOperator
from ovenbird.loading.load import load_network
from ovenbird.loading.options import NetworkOptions
from ovenbird.networks.network import Network
from ovenbird.networks.processing.options import ProcessingOptions
from ovenbird_runtime.postprocess.boxes import BoxSettings, find_boxes

IOU, LEAST = 0.3, 0.5


def write_ssd(path: Path, rows: tuple[int, int] | None = None, side: float = 1.0) -> Path:
    """Write a detector of 64 boxes and three classes, whose boxes are shares of `side`, and which suppresses them.

    `rows`: the shape that is stated for what NonMaxSuppression gives.
    """
    random = np.random.default_rng(3)
    node = helper.make_node
    weights = {
        "box_weights": random.normal(0, 0.1, (4, 3, 8, 8)).astype(np.float32),
        "mark_weights": random.normal(0, 0.1, (3, 3, 8, 8)).astype(np.float32),
        "side": np.float32(side),
        "box_rows": np.array([0, -1, 4]),
        "mark_rows": np.array([0, 3, -1]),
        "most": np.array([64]),
        "iou": np.array([IOU], np.float32),
        "least": np.array([LEAST], np.float32),
        "one": np.array(1),
        "two": np.array(2),
        "zero": np.array([0]),
    }
    nodes = [
        node("Conv", ["image", "box_weights"], ["box_maps"], strides=[8, 8]),
        node("Transpose", ["box_maps"], ["box_last"], perm=[0, 2, 3, 1]),
        node("Sigmoid", ["box_last"], ["box_shares"]),
        node("Mul", ["box_shares", "side"], ["box_places"]),
        node("Reshape", ["box_places", "box_rows"], ["all_boxes"]),
        node("Conv", ["image", "mark_weights"], ["mark_maps"], strides=[8, 8]),
        node("Sigmoid", ["mark_maps"], ["marks"]),
        node("Reshape", ["marks", "mark_rows"], ["all_scores"]),
        node("NonMaxSuppression", ["all_boxes", "all_scores", "most", "iou", "least"], ["kept"]),
        node("Gather", ["kept", "one"], ["kinds"], axis=1),
        node("Gather", ["kept", "two"], ["places"], axis=1),
        node("Gather", ["all_boxes", "places"], ["boxes"], axis=1),
        node("GatherND", ["all_scores", "kept"], ["chosen"]),
        node("Unsqueeze", ["chosen", "zero"], ["scores"]),
        node("Unsqueeze", ["kinds", "zero"], ["labels"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "ssd",
        [value("image", TensorProto.FLOAT, [1, 3, 64, 64])],
        [
            value("boxes", TensorProto.FLOAT, [1, "K", 4]),
            value("labels", TensorProto.INT64, [1, "K"]),
            value("scores", TensorProto.FLOAT, [1, "K"]),
        ],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()],
        value_info=[value("kept", TensorProto.INT64, rows)] if rows else [],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    return path


def load(path: Path, **options: str) -> Network:
    return load_network(str(path), NetworkOptions(processing=ProcessingOptions(**options)))  # type: ignore[arg-type]


def test_it_is_refused_by_its_operator(tmp_path: Path) -> None:
    network = load(write_ssd(tmp_path / "ssd.onnx"), answer=("boxes",))  # type: ignore[arg-type]
    with pytest.raises(UnsupportedOperator, match=r"NonMaxSuppression: how many boxes .* --decode nms"):
        network.source.relax(1)


def test_answers_of_many_sizes_are_refused(tmp_path: Path) -> None:
    network = load(write_ssd(tmp_path / "ssd.onnx", (60, 3)), answer=("boxes",))  # type: ignore[arg-type]
    with pytest.raises(ImportFailed, match=r"the code gives other shapes than the model"):
        network.source.relax(1)
    images = np.random.default_rng(0).standard_normal((3, 3, 64, 64)).astype(np.float32)
    with pytest.raises(NetworkUnreadable, match=r"output 0 is .* of one input and .* of another"):
        network.reference({"image": images * np.array([0.1, 1, 3], np.float32).reshape(3, 1, 1, 1)})


@pytest.mark.parametrize(("decode", "side"), [("nms", 64.0), ("nms-shares", 1.0)])
def test_ended_before_it_the_runtime_finds_the_same_boxes(tmp_path: Path, decode: str, side: float) -> None:
    whole, before = write_ssd(tmp_path / "ssd.onnx", side=side), tmp_path / "before.onnx"
    onnx.utils.extract_model(str(whole), str(before), ["image"], ["all_boxes", "all_scores"])
    network = load(before, decode=decode)
    assert network.classes == 3
    network.source.relax(1)
    images = np.random.default_rng(1).standard_normal((1, 3, 64, 64)).astype(np.float32)
    session = onnxruntime.InferenceSession(str(whole), providers=["CPUExecutionProvider"])
    boxes, labels, scores = session.run(None, {"image": images})
    corners = np.concatenate(
        [np.minimum(boxes[0, :, :2], boxes[0, :, 2:]), np.maximum(boxes[0, :, :2], boxes[0, :, 2:])], 1
    )
    [step] = network.postprocess
    found = find_boxes(step, network.reference({"image": images}), 0, BoxSettings(LEAST, IOU, 60, False), None, None)
    right = sorted(
        zip(scores[0].tolist(), labels[0].tolist(), (corners * (64.0 / side)).tolist(), strict=True), reverse=True
    )
    assert 10 < len(right) < 60
    assert [one.index for one in found] == [label for _, label, _ in right]
    np.testing.assert_allclose([one.score for one in found], [score for score, _, _ in right], rtol=1e-5)
    np.testing.assert_allclose([one.box for one in found], [box for _, _, box in right], rtol=1e-4)


def test_classes_may_be_whole_numbers(tmp_path: Path) -> None:
    """MMDetection's deployed networks give int64."""
    random = np.random.default_rng(0)
    weights = {"rows": random.random((1, 10, 5), np.float32), "kinds": random.integers(0, 9, (1, 10))}
    node, value = helper.make_node, helper.make_tensor_value_info
    nodes = [
        node("ReduceMax", ["image"], ["most"], keepdims=0),
        node("Mul", ["rows", "most"], ["dets"]),
        node("Cast", ["most"], ["whole"], to=TensorProto.INT64),
        node("Add", ["kinds", "whole"], ["labels"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [value("image", TensorProto.FLOAT, [1, 3, 64, 64])],
        [value("dets", TensorProto.FLOAT, [1, 10, 5]), value("labels", TensorProto.INT64, [1, 10])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "net.onnx")
    network = load(tmp_path / "net.onnx", answer=("boxes",))  # type: ignore[arg-type]
    assert network.default_pipeline == "mmdetection"
    network.source.relax(1)
