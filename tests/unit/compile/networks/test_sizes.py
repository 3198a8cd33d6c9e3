"""One network at several image sizes: how sizes are written, what follows them, what is refused."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from ovenbird.errors import NetworkUntraceable, UsageError
from ovenbird.loading.load import load_network
from ovenbird.loading.options import NetworkOptions
from ovenbird.networks.network import Network
from ovenbird.networks.sizes import at_sizes, parse_sizes, program_of, scaled
from ovenbird.networks.torch.source import TorchSource
from ovenbird.networks.torch.tracing import Traced
from ovenbird_runtime.manifest.manifest import TensorSpec, WeightsInfo
from ovenbird_runtime.manifest.steps import CentreCrop, Normalise, Pad, RandomCrop, Resize, output_size


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("320,640", [(320, 320), (640, 640)]),
        ("640,320", [(640, 640), (320, 320)]),
        ("320x480, 64", [(320, 480), (64, 64)]),
        ("224:288:32", [(224, 224), (256, 256), (288, 288)]),
        ("32:64:32x96,32", [(32, 96), (64, 96), (32, 32)]),
        ("32,32x32", [(32, 32)]),
    ],
)
def test_sizes_are_read(text: str, sizes: list[tuple[int, int]]) -> None:
    assert parse_sizes(text) == tuple(sizes)


@pytest.mark.parametrize(
    "text",
    ["", "0", "320,", "320x", "x320", "1x2x3", "-32", "3.5", "64:32:8", "32:64", "32:64:0", "99999", "1:30000:1", "٣٢"],
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--image-sizes"):
        parse_sizes(text)


class Pyramid(nn.Module):
    """Takes an image and a mask of its size, and a threshold of none."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 6, 3, stride=2, padding=1)

    def forward(self, image: torch.Tensor, mask: torch.Tensor, threshold: torch.Tensor) -> dict[str, torch.Tensor]:
        found = self.conv(torch.cat([image, mask], 1)) * threshold[:, :, None, None]
        return {"coarse": found, "fine": image * mask, "scores": found.mean((2, 3))}


def network(net: nn.Module, *examples: torch.Tensor) -> Network:
    traced = Traced.of(net, examples)
    specs = [
        tuple(
            TensorSpec(name, "float32", ("N", *map(int, tensor.shape[1:]))) for name, tensor in zip(*pair, strict=True)
        )
        for pair in ((traced.input_names, traced.examples), (traced.output_names, traced.output_examples))
    ]
    return Network("net", "1", "", WeightsInfo("embedded"), specs[0], specs[1], TorchSource(traced))


def test_shapes_say_what_follows_the_size() -> None:
    one = network(Pyramid(), torch.randn(1, 3, 16, 16), torch.randn(1, 1, 16, 16), torch.rand(1, 6))
    sized = at_sizes(one, [(16, 24), (32, 16)])
    program = program_of(sized)
    assert [spec.shape for spec in program.inputs] == [("N", 3, "H", "W"), ("N", 1, "H", "W"), ("N", 6)]
    assert [spec.shape for spec in program.outputs] == [("N", 6, "?", "?"), ("N", 3, "H", "W"), ("N", 6)]
    assert program.sizes[1].outputs == (("N", 6, 16, 8), ("N", 3, 32, 16), ("N", 6))
    assert sized.digest != one.digest
    alone = at_sizes(one, [(32, 16)])  # one size needs no choice
    assert (alone.sizes, alone.inputs[0].shape) == ({}, ("N", 3, 32, 16))


def test_a_network_without_images_has_no_sizes() -> None:
    with pytest.raises(UsageError, match=r"--image-sizes: net has no input of images.*\['N', 6\]"):
        at_sizes(network(nn.Linear(6, 2), torch.randn(1, 6)), [(8, 8), (16, 16)])


def test_a_network_that_cannot_take_a_size_says_at_which() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 2))
    with pytest.raises(NetworkUntraceable, match=r"at 16x16: .*does not run"):
        at_sizes(network(net, torch.randn(1, 3, 8, 8)), [(8, 8), (16, 16)])


def test_steps_are_scaled() -> None:
    steps = (Resize(shorter=256), CentreCrop(size=(224, 224)), Normalise())
    assert scaled(steps, (224, 224), (448, 448))[:2] == (Resize(shorter=512), CentreCrop(size=(448, 448)))
    assert scaled(steps, (224, 224), (112, 448))[:2] == (Resize(shorter=512), CentreCrop(size=(112, 448)))
    box = (Resize(fit=(416, 416)), Pad(size=(416, 416)), Normalise())
    assert scaled(box, (416, 416), (320, 640))[:2] == (Resize(fit=(320, 640)), Pad(size=(320, 640)))
    piece = (RandomCrop(size=(100, 100)), Pad(size=(224, 224)))
    assert scaled(piece, (224, 224), (64, 448)) == (RandomCrop(size=(64, 100)), Pad(size=(64, 448)))
    for size in ((112, 448), (448, 448)):
        assert all(output_size(scaled(one, *pair)) == size for one, pair in
                   ((steps, ((224, 224), size)), (box, ((416, 416), size)), (piece, ((224, 224), size))))  # fmt: skip


def onnx_file(path: Path, dims: tuple[int | str, ...]) -> Path:
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, dims)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def test_onnx_s_open_sides_are_settled_and_fixed_ones_stay(tmp_path: Path) -> None:
    options = NetworkOptions(image_sizes=((8, 12), (16, 8)))
    found = load_network(str(onnx_file(tmp_path / "open.onnx", ("n", 3, "h", "w"))), options)
    assert (found.inputs[0].shape, found.image_sizes) == (("N", 3, "H", "W"), options.image_sizes)
    assert found.at((16, 8)).relax(2)["main"].params[0].ty.shape.values[3] == 8
    with pytest.raises(UsageError, match=r"does not fit the model's \[n, 3, 8, 12\]"):
        load_network(str(onnx_file(tmp_path / "closed.onnx", ("n", 3, 8, 12))), options)
