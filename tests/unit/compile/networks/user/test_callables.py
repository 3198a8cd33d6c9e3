"""Networks in Python: each way in which one can be named, and one line for each way in which that can fail."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ovenbird.errors import NetworkUnreadable, NetworkUntraceable, UsageError, WeightsMismatch
from ovenbird.loading.load import load_network
from ovenbird.loading.options import NetworkOptions
from ovenbird.loading.request import check_request

NETS = """
import dataclasses
import sys
import torch
from torch import nn
import helpers_of_nets

print("imported")


class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, width, 3, 4), nn.BatchNorm2d(width), nn.ReLU())
        self.head = nn.Linear(width, 5)

    def forward(self, image, scale=1.0):
        return self.head(self.body(image).mean((2, 3))) * scale


class Pair(nn.Module):
    def forward(self, left, right):
        return left - right


class Stereo(nn.Module):
    def forward(self, pictures, factor, *, offset=None):
        return {"apart": (pictures["left"] - pictures["right"]) * factor, "none": None}


net = Net()
five = 5


def build(size, width=4):
    return Net(width), torch.rand(1, 3, size, size)


def grey():
    return nn.Conv2d(1, 2, 3)


def stereo():
    picture = torch.rand(1, 3, 8, 8)
    return Stereo(), ({"left": picture, "right": picture + 1}, 2.0)


def program():
    return torch.export.export(Net().eval(), (torch.rand(2, 3, 16, 16),))


def meta():
    with torch.device("meta"):
        return Net()


def parallel():
    return nn.DataParallel(Net())


def broken():
    return helpers_of_nets.deep(torch.zeros(2), 3)


def leaves():
    sys.exit(3)


def nothing():
    Net()


def three():
    return Net(), 1, 2


@dataclasses.dataclass
class Answer:
    logits: torch.Tensor
    hidden: object = None


class Answering(Net):
    def forward(self, image):
        return Answer(super().forward(image))


def half():
    return Net().half()


class Deciding(Net):
    def forward(self, image):
        if image.mean() > 0:
            return super().forward(image)
        return -super().forward(image)


def linear():
    return nn.Linear(3, 4)
"""
HELPERS = """
import torch


def deep(tensor, size):
    return tensor.reshape(size)
"""


TORCHVISION = "import torchvision\nnet = torchvision.ops.Conv2dNormActivation(3, 2)\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["", *__import__("sys").path])
    (tmp_path / "nets.py").write_text(NETS)
    (tmp_path / "helpers_of_nets.py").write_text(HELPERS)
    return tmp_path


def shapes(model: str, **options: object) -> tuple[dict[str, object], dict[str, object]]:
    network = load_network(model, NetworkOptions(**options))  # type: ignore[arg-type]
    return {one.name: one.shape for one in network.inputs}, {one.name: one.shape for one in network.outputs}


@pytest.mark.parametrize(
    ("model", "options", "inputs", "outputs"),
    [
        ("nets.py:net", {}, {"image": ("N", 3, 224, 224)}, {"output0": ("N", 5)}),
        ("./nets.py:Net(width=2)", {"size": (32, 48)}, {"image": ("N", 3, 32, 48)}, {"output0": ("N", 5)}),
        ("nets.py:build(32)", {}, {"image": ("N", 3, 32, 32)}, {"output0": ("N", 5)}),
        ("nets.py:build", {"arguments": {"size": 16}, "size": (20, 24)}, {"image": ("N", 3, 20, 24)}, None),
        ("nets.py:grey", {"size": (8, 8)}, {"input": ("N", 1, 8, 8)}, {"output0": ("N", 2, 6, 6)}),
        ("nets.py:Pair", {"input_shapes": {"left": (1, 4), "right": (1, 4)}}, None, {"output0": ("N", 4)}),
        (
            "nets.py:stereo",
            {},
            {"pictures_left": ("N", 3, 8, 8), "pictures_right": ("N", 3, 8, 8)},
            {"apart": ("N", 3, 8, 8)},
        ),
        ("nets.py:Answering", {"size": (8, 8)}, {"image": ("N", 3, 8, 8)}, {"logits": ("N", 5)}),
        ("nets.py:half", {"size": (8, 8)}, {"image": ("N", 3, 8, 8)}, {"output0": ("N", 5)}),
        ("nets.py:program", {}, {"image": (2, 3, 16, 16)}, {"output0": (2, 5)}),
        ("nets.py:parallel", {"size": (16, 16)}, {"image": ("N", 3, 16, 16)}, {"output0": ("N", 5)}),
        ("torch.nn:Conv2d(3, 4, 3)", {"size": (16, 16)}, {"input": ("N", 3, 16, 16)}, {"output0": ("N", 4, 14, 14)}),
    ],
)
def test_ways_to_name_a_network(model: str, options: dict, inputs: dict | None, outputs: dict | None) -> None:
    found = shapes(model, **options)
    assert inputs in (None, found[0])
    assert outputs in (None, found[1])


def test_what_was_assumed_is_said() -> None:
    assumed = "example input image [1, 3, 224, 224]; --size or --input-shapes gives another"
    pixels = "how pictures become its input is not said: --preprocess imagenet, or a file next to the network"
    assert load_network("nets.py:net").notes == (assumed, pixels)
    assert load_network("nets.py:build(32)").notes == (pixels,)
    sized = NetworkOptions(preprocess="imagenet", image_sizes=((32, 32), (48, 48)))
    assert load_network("nets.py:net", sized).notes == ("example input image [1, 3, 32, 32]",)
    assert load_network("nets.py:build(32)", NetworkOptions(preprocess="none")).notes == ()


def test_a_file_elsewhere_and_one_in_a_package(folder: Path) -> None:
    package = folder / "else where" / "pack" / "inner"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    (package / "__init__.py").touch()
    (package / "parts.py").write_text("from torch import nn\n\ndef layer():\n    return nn.Conv2d(3, 2, 1)\n")
    (package / "whole.py").write_text("from ..inner.parts import layer\n")
    assert shapes(f"{package}/whole.py:layer", size=(4, 4))[1] == {"output0": ("N", 2, 4, 4)}


@pytest.mark.parametrize("name", ["json", "torch", "nets-with-dashes", "2nets"])
def test_a_file_may_have_any_name(folder: Path, name: str) -> None:
    (folder / f"{name}.py").write_text("from torch import nn\nlayer = nn.Conv2d(3, 2, 1)\n")
    assert shapes(f"{name}.py:layer", size=(4, 4))[1] == {"output0": ("N", 2, 4, 4)}


def test_prints_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    load_network("nets.py:build(8)")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("netts:net", r"no module 'netts': searched the current folder, /.*, and the installed packages; did you mean"),
        ("torch.absent:net", r"no module 'torch\.absent'"),
        ("absent/nets.py:net", r"no file at /.*absent/nets\.py"),
        ("net.py:net", r"no file at .*did you mean nets\.py"),
        ("nets.py:nett", r"nets\.py has no 'nett'; did you mean net\?"),
        ("nets.py:zzz", r"has no 'zzz'; it has Net, Pair, "),
        ("nets.py:Net.small", r"Net has no 'small'"),
        ("nets.py:five", "nets.py:five is int; expected a torch.nn.Module"),
        ("nets.py:nothing", "returned nothing: end it with `return net`"),
        ("nets.py:three", "returned 3 values: put the example inputs into one tuple"),
        ("nets.py:broken", r"RuntimeError: shape '\[3\]' is invalid.* \(helpers_of_nets\.py:6\)"),
        ("nets.py:leaves", r"ended the program, sys\.exit\(3\) \(nets\.py:6\d\)"),
        ("nets.py:meta", "a network without numbers: body.0.weight is on torch's device 'meta'"),
        ("nets.py", r"a Python file; name what makes the network: nets\.py:Net, nets\.py:Pair"),
        ("nets", r"nets\.py is a Python file; name what makes the network: nets\.py:Net"),
        ("bad.py:net", r"SyntaxError: .* \(bad\.py:2\)"),
        ("needs.py:net", r"ModuleNotFoundError: No module named 'absent_package' \(needs\.py:1\)"),
    ],
)
def test_one_line_for_each_fault(folder: Path, model: str, said: str) -> None:
    (folder / "bad.py").write_text("x = 1\ndef (:\n")
    (folder / "needs.py").write_text("import absent_package\n")
    with pytest.raises(NetworkUnreadable, match=said) as refused:
        load_network(model)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        ("nets.py:build", {}, r"needs size: give nets\.py:build\(size=\.\.\.\), or --arg size=VALUE"),
        ("nets.py:build(sise=3)", {}, "takes no argument 'sise'; did you mean size?"),
        ("nets.py:build(1, 2, 3)", {}, r"too many positional arguments; it takes \(size, width=4\)"),
        ("nets.py:net(3)", {}, "is a Net: it takes no arguments"),
        ("nets.py:Pair", {}, 'its forward takes left, right; .* --input-shapes "left:.* right:'),
        ("nets.py:Pair", {"input_shapes": {"left": (1, 2)}}, "needs right, too"),
        ("nets.py:Pair", {"input_shapes": {"lft": (1, 2)}}, "no input 'lft'; did you mean left?"),
        ("nets.py:linear", {}, "its first layer, Linear, does not show their shape"),
        ("nets.py:stereo", {"size": (4, 4)}, "--size: 2 inputs are images: pictures_left, pictures_right"),
    ],
)
def test_wrong_usage(model: str, options: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load_network(model, NetworkOptions(**options))


def test_an_assumed_input_that_does_not_run_is_named() -> None:
    with pytest.raises(NetworkUntraceable, match=r"does not run .*\(assumed: example input image \[1, 3, 2, 2\]\)"):
        load_network("nets.py:net", NetworkOptions(size=(2, 2)))


def test_a_branch_that_depends_on_the_picture_is_named_by_its_line() -> None:
    with pytest.raises(
        NetworkUntraceable, match=r'cannot trace the network at nets\.py:\d+, "if image\.mean\(\) > 0:"'
    ):
        load_network("nets.py:Deciding", NetworkOptions(size=(8, 8))).relax(1)


def test_weights_for_a_callable(folder: Path) -> None:
    from safetensors.torch import save_file

    state = torch.nn.Conv2d(1, 2, 3).state_dict()
    save_file({f"model.{name}": tensor for name, tensor in state.items()}, folder / "grey.safetensors")
    options = NetworkOptions(weights="grey.safetensors", size=(8, 8))
    network = load_network("nets.py:grey", options)
    assert (network.weights.origin, network.weights.detail) == (
        "file",
        "grey.safetensors, 'model.' taken off its names",
    )
    image = torch.rand(1, 1, 8, 8)
    (output,) = network.source.reference([image.numpy()])
    right = torch.nn.functional.conv2d(image, state["weight"], state["bias"])
    torch.testing.assert_close(torch.from_numpy(output), right)
    with pytest.raises(WeightsMismatch, match="belong to another network"):
        load_network("nets.py:net", NetworkOptions(weights="grey.safetensors"))
    random = load_network("nets.py:stereo", NetworkOptions(weights="random:3"))
    assert random.weights.random


def test_a_module_of_torchvision_is_helped_in_user_s_code(folder: Path) -> None:
    (folder / "uses_torchvision.py").write_text(
        "import torchvision\nnet = torchvision.ops.Conv2dNormActivation(3, 2)\n"
    )
    assert shapes("uses_torchvision.py:net", size=(8, 8))[1] == {"output0": ("N", 2, 8, 8)}


def test_a_request_is_refused_before_anything_is_imported(folder: Path) -> None:
    with pytest.raises(UsageError, match="--arg is for module:callable"):
        check_request("net.onnx", NetworkOptions(arguments={"size": 3}))
    with pytest.raises(UsageError, match=r"--weights is for networks without; net\.onnx brings its own"):
        check_request("net.onnx", NetworkOptions(weights="random:1"))
