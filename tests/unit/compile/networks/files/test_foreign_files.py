"""Files that people try: each is named for what it is, with the way from it to a network; none of them is run."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from ovenbird.errors import NetworkUnreadable, WeightsUnavailable
from ovenbird.loading.options import NetworkOptions
from ovenbird.loading.request import check_request
from ovenbird.networks.files.foreign import SUFFIXES, refusal
from support.hostile_programs import Touch, saved


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


def test_a_pickled_module_is_refused_with_the_recipe(tmp_path: Path) -> None:
    torch.save(Plain(), tmp_path / "net.pth")
    with pytest.raises(NetworkUnreadable, match=r"a pickled object, \S*Plain: to read it is to run code .*state_dict"):
        check_request(str(tmp_path / "net.pth"), NetworkOptions())


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_state_dict_is_told_and_so_is_a_module(tmp_path: Path, zipped: bool, protocol: int) -> None:
    for what, content in (("a state_dict", Plain().state_dict()), ("a pickled object, ", Plain())):
        path = tmp_path / "net.pt"
        torch.save(content, path, _use_new_zipfile_serialization=zipped, pickle_protocol=protocol)
        assert refusal(path).startswith(what), (zipped, protocol)
    assert "Plain" in refusal(path)


def test_a_checkpoint_is_weights_too(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "model": Plain().state_dict()}, tmp_path / "last.ckpt")
    assert "--weights" in refusal(tmp_path / "last.ckpt")


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (torch.ones(2, 3), "one tensor, without the network"),
        (nn.Parameter(torch.ones(2)), "one tensor, without the network"),
        ([torch.ones(2), torch.ones(3)], "a list of tensors, without the network"),
        ((torch.ones(2),), "a list of tensors, without the network"),
        ({"a": torch.ones(2)}, "a state_dict"),
    ],
    ids=["tensor", "parameter", "list", "tuple", "dict"],
)
def test_tensors_without_names_are_told_from_a_state_dict(
    tmp_path: Path, content: object, said: str, zipped: bool, protocol: int
) -> None:
    path = tmp_path / "net.pt"
    torch.save(content, path, _use_new_zipfile_serialization=zipped, pickle_protocol=protocol)
    assert refusal(path).startswith(said)


def test_safetensors_are_weights(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file(Plain().state_dict(), tmp_path / "net.safetensors", {"format": "pt"})
    assert refusal(tmp_path / "net.safetensors").startswith("a state_dict of 2 tensors: weights without the network")


def test_torchscript_is_refused_with_the_recipe(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls it deprecated
        torch.jit.save(torch.jit.trace(Plain(), torch.ones(1, 2)), str(tmp_path / "net.pt"))
    assert "TorchScript" in refusal(tmp_path / "net.pt")
    assert "torch.export.save" in refusal(tmp_path / "net.pt")


def test_an_exported_program_under_another_suffix(tmp_path: Path) -> None:
    program = torch.export.export(Plain().eval(), (torch.ones(1, 2),))
    torch.export.save(program, tmp_path / "net.pt2")
    (tmp_path / "net.pt2").rename(tmp_path / "net.pt")
    assert f"mv {tmp_path}/net.pt {tmp_path}/net.pt2" in refusal(tmp_path / "net.pt")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("net.h5", b"\x89HDF\r\n\x1a\n", "a Keras model is not read: keras.models.load_model"),
        ("net.weights", b"\x89HDF\r\n\x1a\n", "a Keras model"),
        ("net.tflite", b"\x1c\0\0\0TFL3", "a TensorFlow Lite model is not read: python -m tf2onnx.convert --tflite"),
        ("net.pb", b"\x08\x01", "--graphdef"),
        ("net.xml", b"<net/>", "an OpenVINO model is not read"),
        ("net.engine", b"ftrt", "a TensorRT engine is not read"),
        ("net.mlmodel", b"\x08", "a Core ML model"),
        ("net.ort", b"ORTM", "the .onnx file that it was made from"),
        ("net.pdmodel", b"\x08", "paddle2onnx"),
        ("net.gguf", b"GGUF", "a GGUF file"),
        ("net.pth", b"", "the file is empty"),
        ("net.pth", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        ("net.pth", b"<!DOCTYPE html><html>", "a web page stands there"),
        ("net.pth", b"\x80\x02garbage", "damaged, or no file that this compiler knows"),
        ("net.pth", b"PK\x03\x04garbage", "damaged, or no file that this compiler knows"),
        ("net.safetensors", b"\x09\0\0\0\0\0\0\0{garbage", "damaged, or no file that this compiler knows"),
        ("net.xyz", b"\x08", "not a file that this compiler knows"),
        ("absent.h5", None, "no file there"),
        ("absent.py", None, "no file there"),
    ],
)
def test_other_formats_name_the_way(tmp_path: Path, name: str, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(NetworkUnreadable) as refused:
        check_request(str(tmp_path / name), NetworkOptions())
    assert said in str(refused.value)


def test_folders(tmp_path: Path) -> None:
    for file, said in {
        "config.json": "a model of transformers: give hf:",
        "saved_model.pb": "--saved-model",
        "manifest.json": "an artifact, compiled already",
    }.items():
        (tmp_path / file).touch()
        assert said in refusal(tmp_path)
    (tmp_path / "net.mlpackage").mkdir()
    assert "a Core ML model" in refusal(tmp_path / "net.mlpackage")
    (tmp_path / "empty").mkdir()
    assert refusal(tmp_path / "empty") == "a folder; give the file in it"


def test_every_format_has_its_way(tmp_path: Path) -> None:
    for what, suffixes in SUFFIXES.items():
        for suffix in suffixes.split():
            path = tmp_path / f"a net{{x}}{suffix}"
            path.write_bytes(b"?")
            assert refusal(path).startswith(f"{what} is not read: ")


def test_pickles_do_not_run(tmp_path: Path) -> None:
    for place, data in enumerate((saved({"a": Touch(tmp_path / "ran")}), pickle.dumps(Touch(tmp_path / "ran")))):
        path = tmp_path / f"{place}.pth"
        path.write_bytes(data)
        assert "a pickled object" in refusal(path)
    assert not (tmp_path / "ran").exists()


def test_an_archive_that_would_inflate(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "net.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net/data.pkl", b"\x80\x02" + b"N0" * 1_000_000)
    assert refusal(tmp_path / "net.pth")


def test_a_pointer_in_place_of_weights_or_of_a_network(tmp_path: Path) -> None:
    for name in ("net.onnx", "net.pt2", "net.pth"):
        (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\n")
    for name in ("net.onnx", "net.pt2"):
        with pytest.raises(NetworkUnreadable, match="git lfs pull"):
            check_request(str(tmp_path / name), NetworkOptions())
    with pytest.raises(WeightsUnavailable, match="git lfs pull"):
        check_request("resnet18", NetworkOptions(weights=str(tmp_path / "net.pth")))
