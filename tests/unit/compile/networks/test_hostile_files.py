"""Weights and ONNX files from strangers: nothing of theirs runs, and no file of this machine gets into an artifact."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from ovenbird.errors import NetworkUnreadable, NetworkUnsafe, WeightsUnreadable
from ovenbird.networks.files.state_dicts import read_state_dict
from ovenbird.networks.onnx.files.external_data import read_external_data, tensors_in
from ovenbird.networks.onnx.source import OnnxSource
from support.hostile_programs import Touch, saved

PATHS = {
    "a state_dict": lambda touch: saved({"weight": touch}),
    "among tensors": lambda touch: saved({"state_dict": {"weight": torch.ones(1)}, "epoch": touch}),
    "a plain pickle": lambda touch: pickle.dumps(touch),
    "protocol 4": lambda touch: pickle.dumps({"weight": touch}, protocol=4),
}


@pytest.mark.parametrize("way", PATHS)
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".ckpt"])
def test_pickles_in_weights_do_not_run(tmp_path: Path, way: str, suffix: str) -> None:
    path, marker = (tmp_path / "net").with_suffix(suffix), tmp_path / "it-ran"
    path.write_bytes(PATHS[way](Touch(marker)))
    with pytest.raises(WeightsUnreadable):
        read_state_dict(path)
    assert not marker.exists()


def test_the_pickle_bites(tmp_path: Path) -> None:
    """A control: read as torch reads what it trusts, the file is made."""
    path, marker = tmp_path / "net.pth", tmp_path / "it-ran"
    path.write_bytes(saved({"weight": Touch(marker)}))
    torch.load(path, weights_only=False)
    assert marker.exists()


def test_weights_that_would_inflate_are_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(1_000_000)}, tmp_path / "honest.pth")
    with (
        zipfile.ZipFile(tmp_path / "honest.pth") as archive,
        zipfile.ZipFile(tmp_path / "net.pth", "w", zipfile.ZIP_DEFLATED) as other,
    ):
        for name in archive.namelist():
            other.writestr(name, archive.read(name))
    with pytest.raises(WeightsUnreadable, match="compressed"):
        read_state_dict(tmp_path / "net.pth")


# -- ONNX ----------------------------------------------------------------------------------------------------------


def external(location: str, **numbers: object) -> TensorProto:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, **numbers}.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def write_model(path: Path, weight: TensorProto, where: str = "initializer") -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])
    add = helper.make_node("Add", ["x", "w"], ["y"])
    constant = helper.make_node("Constant", [], ["w"], value=weight)
    nodes, initializers, functions = [add], [weight], []
    if where == "constant":
        nodes, initializers = [constant, add], []
    elif where == "subgraph":
        inner = helper.make_graph([constant], "inner", [], [helper.make_tensor_value_info("w", TensorProto.FLOAT, [4])])
        truth = helper.make_node("Constant", [], ["c"], value=helper.make_tensor("c", TensorProto.BOOL, [], [True]))
        nodes = [truth, helper.make_node("If", ["c"], ["w"], then_branch=inner, else_branch=inner), add]
        initializers = []
    elif where == "function":
        opset = [helper.make_opsetid("", 17)]
        functions = [helper.make_function("own", "Weight", [], ["w"], [constant], opset)]
        nodes, initializers = [helper.make_node("Weight", [], ["w"], domain="own"), add], []
    graph = helper.make_graph(nodes, "net", [x], [y], initializers)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    model = helper.make_model(graph, opset_imports=opsets, functions=functions, ir_version=8)
    path.write_bytes(model.SerializeToString())


PLACES = ["initializer", "constant", "subgraph", "function"]


@pytest.mark.parametrize("where", PLACES)
def test_weights_beside_the_model_are_read(tmp_path: Path, where: str) -> None:
    wanted = np.arange(4, dtype=np.float32)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "net.data").write_bytes(bytes(8) + wanted.tobytes())
    write_model(tmp_path / "net.onnx", external("sub/net.data", offset=8, length=16), where)
    source = OnnxSource.read(tmp_path / "net.onnx", {})
    x = np.ones((2, 4), np.float32)
    np.testing.assert_array_equal(source.reference([x])[0], x + wanted)


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("kind", ["absolute", "above", "round", "link", "linked folder", "pipe", "device", "none"])
def test_files_elsewhere_are_not(tmp_path: Path, where: str, kind: str) -> None:
    folder = tmp_path / "models"
    (folder / "sub").mkdir(parents=True)
    secret = tmp_path / "secret"
    secret.write_bytes(b"the key to it all")
    (folder / "link").symlink_to(secret)
    (folder / "linked").symlink_to(tmp_path)
    (folder / "zero").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe")
    location = {
        "absolute": str(secret), "above": "../secret", "round": "sub/../../secret", "link": "link",
        "linked folder": "linked/secret", "pipe": "pipe", "device": "zero", "none": "",
    }[kind]  # fmt: skip
    write_model(folder / "net.onnx", external(location, length=16), where)
    with pytest.raises(NetworkUnsafe, match=r"net\.onnx: tensor 'w' is in"):
        OnnxSource.read(folder / "net.onnx", {})


@pytest.mark.parametrize(
    "numbers", [{"offset": 9}, {"length": 99}, {"offset": -1}, {"length": 10**20}, {"offset": "x"}]
)
def test_more_bytes_than_there_are_is_unreadable(tmp_path: Path, numbers: dict[str, Any]) -> None:
    (tmp_path / "net.data").write_bytes(bytes(16))
    write_model(tmp_path / "net.onnx", external("net.data", **{"length": 16, **numbers}))
    with pytest.raises(NetworkUnreadable, match="tensor 'w'"):
        OnnxSource.read(tmp_path / "net.onnx", {})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    write_model(tmp_path / "net.onnx", external("net.data"))
    with pytest.raises(NetworkUnreadable, match=r"'net\.data', and no such file is next to the model"):
        OnnxSource.read(tmp_path / "net.onnx", {})


def test_what_onnx_itself_writes_outside_of_the_model_is_read(tmp_path: Path) -> None:
    weight = onnx.numpy_helper.from_array(np.arange(4, dtype=np.float32), "w")
    write_model(tmp_path / "whole.onnx", weight)
    model = onnx.load(str(tmp_path / "whole.onnx"))
    onnx.save_model(
        model, str(tmp_path / "net.onnx"), save_as_external_data=True, location="net.onnx.data", size_threshold=0
    )
    assert (tmp_path / "net.onnx.data").is_file()
    read = onnx.load(str(tmp_path / "net.onnx"), load_external_data=False)
    read_external_data(read, tmp_path)
    assert [bytes(tensor.raw_data) for tensor in tensors_in(read)] == [weight.raw_data]


def test_an_input_that_no_memory_holds_is_refused(tmp_path: Path) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2**31, 2**31])
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])], "net", [x], [helper.make_empty_tensor_value_info("y")]
    )
    (tmp_path / "net.onnx").write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    )
    with pytest.raises(NetworkUnreadable, match=r"elements, limit|not an ONNX model"):
        OnnxSource.read(tmp_path / "net.onnx", {}).examples(1)
