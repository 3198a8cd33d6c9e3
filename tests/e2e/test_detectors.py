"""Detectors as users have them become artifacts that answer photographs with boxes, verified box by box."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ovenbird.compiling import compile_network
from ovenbird.loading.load import load_network
from ovenbird.loading.options import NetworkOptions
from ovenbird.networks.processing.options import ProcessingOptions
from ovenbird.options import CompileOptions
from ovenbird.verify.photographs import own_photographs

CFG = """[net]
width=64
height=64
channels=3
[convolutional]
filters=8
size=3
stride=2
pad=1
batch_normalize=1
activation=leaky
[maxpool]
size=2
stride=2
[convolutional]
filters=24
size=1
activation=linear
[yolo]
mask=0,1,2
anchors=8,8, 16,16, 30,30
classes=3
num=3
"""


def yolov8_like(path: Path) -> None:
    """Write a model of three convolutions whose one output is [N, 4 + 3, places]."""
    random = np.random.default_rng(3)
    nodes, weights, levels = [], [], []
    for stride in (8, 16, 32):
        name = f"level{stride}"
        weights.append(
            numpy_helper.from_array(random.normal(0, 1 / stride, (7, 3, stride, stride)).astype(np.float32), name)
        )
        nodes += [
            helper.make_node("Conv", ["image", name], [f"{name}_map"], strides=[stride, stride]),
            helper.make_node("Sigmoid", [f"{name}_map"], [f"{name}_share"]),
            helper.make_node("Reshape", [f"{name}_share", "rows"], [f"{name}_rows"]),
        ]
        levels.append(f"{name}_rows")
    weights.append(numpy_helper.from_array(np.array([0, 7, -1], np.int64), "rows"))
    weights.append(numpy_helper.from_array(np.array([64] * 4 + [1] * 3, np.float32).reshape(1, 7, 1), "units"))
    nodes += [helper.make_node("Concat", levels, ["all"], axis=2), helper.make_node("Mul", ["all", "units"], ["boxes"])]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 64, 64])],
        [helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["N", 7, 84])],
        weights,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def answered(artifact: Path, runtime_python: Path, *options: str) -> list[dict]:
    photograph = next(iter(own_photographs()))
    command = [runtime_python, "-m", "ovenbird_runtime", "run", artifact, photograph, "--json", "--score", "0.1"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (prediction,) = json.loads(done.stdout)
    return prediction["boxes"]["boxes"]


def check(artifact: Path, model: str, options: NetworkOptions, labels: set[str], least: int = 50) -> None:
    """Compile a detector, verify `least` boxes, and see what it answers; no `labels`: its own."""
    report = compile_network(load_network(model, options), artifact, CompileOptions(batch_sizes=(1,)))
    assert report.parity is not None
    figures = report.parity.programs["main"]
    assert figures.boxes is not None
    assert figures.boxes >= least
    assert figures.boxes_agreement == 1.0
    boxes = answered(artifact, Path(sys.executable))
    assert boxes
    assert {box["label"] for box in boxes} <= (labels or set((artifact / "labels.txt").read_text().splitlines()))


def test_an_onnx_detector_is_decoded_within_the_program(tmp_path: Path) -> None:
    yolov8_like(tmp_path / "net.onnx")
    (tmp_path / "net.names").write_text("cat\ndog\ncow\n")
    options = ProcessingOptions(answer=("boxes",), labels=tmp_path / "net.names")
    check(tmp_path / "artifact", str(tmp_path / "net.onnx"), NetworkOptions(processing=options), {"cat", "dog", "cow"})


@pytest.mark.slow
def test_a_darknet_detector_is_an_artifact(tmp_path: Path) -> None:
    (tmp_path / "net.cfg").write_text(CFG)
    (tmp_path / "net.names").write_text("cat\ndog\ncow\n")
    options = NetworkOptions(weights="random:3")
    check(tmp_path / "artifact", str(tmp_path / "net.cfg"), options, {"cat", "dog", "cow"})


@pytest.mark.slow
def test_a_detector_of_two_stages_takes_two_sizes(tmp_path: Path) -> None:
    """Neither is square, and photographs do not fill them."""
    name = "torchvision:fasterrcnn_mobilenet_v3_large_320_fpn(rpn_post_nms_top_n_test=100)"
    artifact, options = tmp_path / "artifact", NetworkOptions(weights="random:3", image_sizes=((160, 192), (192, 128)))
    check(artifact, name, options, set(), least=10)
    boxes = answered(artifact, Path(sys.executable), "--image-size", "192x128")
    assert boxes
    assert boxes != answered(artifact, Path(sys.executable))
