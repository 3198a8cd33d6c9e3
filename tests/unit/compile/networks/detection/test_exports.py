"""Detectors as exporters write them, in their own sizes: told by shapes and by what the file says, or refused."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ovenbird.errors import UsageError
from ovenbird.loading.load import load_network
from ovenbird.loading.options import NetworkOptions
from ovenbird.networks.detection.exports import read_export
from ovenbird.networks.network import Network
from ovenbird.networks.processing.options import ProcessingOptions

COCO = str({index: f"name {index}" for index in range(80)})
ULTRALYTICS = {"task": "detect", "names": COCO, "stride": "32", "imgsz": "[640, 640]"}


def load(path: Path, shapes: list[tuple[int, ...]], metadata: dict[str, str] | None = None, **options: str) -> Network:
    """Load a file whose outputs have these shapes: the mean of an image of 640x640, times numbers."""
    random = np.random.default_rng(0)
    nodes, weights, outputs = [helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0)], [], []
    for place, shape in enumerate(shapes):
        weights.append(numpy_helper.from_array(random.random(shape).astype(np.float32), f"numbers{place}"))
        nodes.append(helper.make_node("Mul", [f"numbers{place}", "mean"], [f"output{place}"]))
        outputs.append(helper.make_tensor_value_info(f"output{place}", TensorProto.FLOAT, shape))
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 640, 640])
    model = helper.make_model(
        helper.make_graph(nodes, "net", [images], outputs, weights),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    helper.set_model_props(model, metadata or {})
    onnx.save(model, path / "net.onnx")
    processing = ProcessingOptions(answer=("boxes",), **options)  # type: ignore[arg-type]
    return load_network(str(path / "net.onnx"), NetworkOptions(processing=processing))


MAPS = [(1, 3, side, side, 85) for side in (80, 40, 20)]


@pytest.mark.parametrize(
    ("shapes", "kind", "classes"),
    [
        ([(1, 84, 8400)], "yolov8", 80),
        ([(1, 25200, 85)], "yolov5", 80),
        ([(1, 25200, 85), *MAPS], "yolov5", 80),
        ([*MAPS, (1, 25200, 85)], "yolov5", 80),
        ([(1, 85, 8400)], "yolov8", 81),
        ([(1, 84, 34000)], "yolov8", 80),  # four levels, from 4 pixels on
        ([(1, 102000, 85)], "yolov5", 80),
        ([(1, 25500, 85)], "yolov5", 80),  # four levels, to 64 pixels
        ([(1, 25200, 6)], "yolov5", 1),
        ([(1, 6000, 6)], "yolov5", 1),  # two levels: as many numbers as a suppressed box has
        ([(1, 300, 6)], "yolov10", None),
        ([(1, 1000, 6)], "yolov10", None),
        ([(1, 100, 5), (1, 100)], "mmdetection", None),
    ],
)
def test_exports_are_told_by_their_shapes(
    tmp_path: Path, shapes: list[tuple[int, ...]], kind: str, classes: int | None
) -> None:
    network = load(tmp_path, shapes)
    assert (network.default_pipeline, network.classes, network.labels) == (kind, classes, ())
    rows = max(shape[-1] if kind == "yolov8" else shape[1] for shape in shapes if len(shape) == 3)
    assert network.outputs[0].shape == ("N", min(rows, 1000), 4)


@pytest.mark.parametrize("shape", [(1, 84, 8400), (1, 300, 6)])
def test_a_file_names_its_classes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    network = load(tmp_path, [shape], ULTRALYTICS)
    assert (len(network.labels), network.labels[79]) == (80, "name 79")
    (tmp_path / "own.txt").write_text("\n".join(f"own {index}" for index in range(80)))
    assert load(tmp_path, [shape], ULTRALYTICS, labels=tmp_path / "own.txt").labels[79] == "own 79"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shape", "metadata", "decode", "message"),
    [
        ((1, 56, 8400), {"task": "pose", "names": "{0: 'person'}"}, None, "its task is 'pose': its rows hold more"),
        ((1, 20, 8400), {"task": "obb"}, "yolov8", "its task is 'obb'"),
        ((1, 116, 8400), {"names": COCO}, None, "the file names 80 classes, rows of yolov8 here would have 112"),
        ((1, 8400, 85), {}, None, "give --decode yolov5 .*--decode yolov8 .*, or --decode yolox"),
        ((1, 8400, 84), {}, None, "give --decode yolov5 .*--decode yolov8 .*, or --decode yolox"),
        ((1, 8400, 6), {}, None, "give --decode yolov5 .*--decode yolov8 .*--decode yolox .*--decode yolov10"),
        ((1, 34000, 6), {}, None, "give --decode yolov5 .*--decode yolov8 "),
        ((1, 3598, 112), {}, None, "give --decode yolov5 "),  # NanoDet's distances are no boxes
        ((1, 84, 34000), {}, "yolox", "--decode yolox is for one output"),
        ((1, 84, 2100), {}, None, "do not say how they are decoded: give --decode yolov8"),
    ],
)
def test_what_would_be_decoded_wrongly_is_refused(
    tmp_path: Path, shape: tuple[int, ...], metadata: dict[str, str], decode: str | None, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        load(tmp_path, [shape], metadata, **({"decode": decode} if decode else {}))


@pytest.mark.parametrize(
    "names",
    ["", "no literal", "{0: 'a', 2: 'b'}", "[1, 2]", "{0: ''}", "{0: 'a\\x07'}", "(" * 10_000, "__import__('os')"],
)
def test_names_that_cannot_be_read_are_none(names: str) -> None:
    assert read_export({"names": names}).labels == ()


def test_names_may_be_a_list() -> None:
    assert read_export({"names": "['one', 'two  words']"}).labels == ("one", "two words")
