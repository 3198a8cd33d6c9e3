"""Importing into Relax: outputs as tuples, indices bounded, errors that name the operator."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import tvm
from onnx import TensorProto, helper
from torch import nn
from tvm import relax

from ovenbird.errors import ImportFailed, NetworkUnreadable, UnsupportedOperator, UsageError
from ovenbird.networks.import_errors import import_error
from ovenbird.networks.onnx.source import OnnxSource
from ovenbird.networks.torch.importer import import_exported
from ovenbird.networks.torch.tracing import Traced


class Spectrum(nn.Module):
    """Ends in an operator that TVM does not have."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = torch.linalg.svd(x.relu())[1]
        return found


class Lookup(nn.Module):
    """Indexes by what the caller sends."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(10, 4)

    def forward(self, ids: torch.Tensor, x: torch.Tensor) -> Any:
        return self.table(ids), torch.gather(x, 1, ids), x[ids[:, 0], ids[:, 1]]


def test_an_unsupported_operator_is_named() -> None:
    program = Traced.of(Spectrum(), (torch.randn(4, 6),)).export(None)
    with pytest.raises(UnsupportedOperator, match="svd"):
        import_exported(program)


def test_indices_are_bounded() -> None:
    traced = Traced.of(Lookup(), (torch.zeros(3, 2, dtype=torch.int64), torch.randn(3, 5)))
    text = import_exported(traced.export(None)).script(show_meta=False)
    assert 'mode="fast"' not in text
    assert 'mode="clip"' in text
    assert text.count("R.where") == 4  # negative indices: one for each of the lookups, two for the indexing


def test_wild_indices_are_held_at_the_edges() -> None:
    network, x = Lookup(), np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)
    traced = Traced.of(network, (torch.zeros(3, 2, dtype=torch.int64), torch.from_numpy(x)))
    machine = relax.VirtualMachine(tvm.compile(import_exported(traced.export(None)), "llvm"), tvm.cpu())
    ids = np.array([[7, -1], [5, 12], [-30, 10]])  # the counts themselves among them: 3, 5 and 10
    found = machine["main"](tvm.runtime.tensor(ids), tvm.runtime.tensor(x))
    embedded, gathered, picked = (tensor.numpy() for tensor in found)

    def held(indices: np.ndarray, extent: int) -> np.ndarray:
        return np.clip(np.where(indices < 0, indices + extent, indices), 0, extent - 1)

    np.testing.assert_array_equal(embedded, network.table.weight.detach().numpy()[held(ids, 10)])
    np.testing.assert_array_equal(gathered, np.take_along_axis(x, held(ids, 5), 1))
    np.testing.assert_array_equal(picked, x[held(ids[:, 0], 3), held(ids[:, 1], 5)])


def test_constant_indices_are_counted_from_the_start() -> None:
    class Corners(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[torch.tensor([0, -1]), torch.tensor([-5, 4])]

    x = np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)
    traced = Traced.of(Corners(), (torch.from_numpy(x),))
    machine = relax.VirtualMachine(tvm.compile(import_exported(traced.export(None)), "llvm"), tvm.cpu())
    found = machine["main"](tvm.runtime.tensor(x))
    np.testing.assert_array_equal((found if hasattr(found, "numpy") else found[0]).numpy(), x[[0, 2], [0, 4]])


def test_an_error_of_a_converter_names_the_node_in_hand() -> None:
    class Node:
        name, target = "conv_7", "aten.conv2d"

    def convert() -> None:
        node = Node()
        raise ValueError(f"bad padding\nmore ({node.name})")

    try:
        convert()
    except ValueError as error:
        found = import_error(error)
    assert isinstance(found, ImportFailed)
    assert "aten.conv2d (conv_7): bad padding" in str(found)


def onnx_file(folder: Path, operator: str = "Relu", dims: tuple[Any, ...] = ("batch", 4)) -> Path:
    graph = helper.make_graph(
        [helper.make_node(operator, ["x"], ["y"])],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, dims)],
    )
    path = folder / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def test_an_onnx_model_has_its_names_and_open_batch(tmp_path: Path) -> None:
    source = OnnxSource.read(onnx_file(tmp_path), {})
    assert (source.input_names, source.output_names, source.batched) == (("x",), ("y",), True)
    module = source.relax(3)
    assert [int(dim) for dim in module["main"].params[0].ty.shape.values] == [3, 4]
    assert len(module["main"].ret_ty.fields) == 1
    answer = source.reference([np.array([[-1, 2, -3, 4]], dtype="float32")])[0]
    assert answer.tolist() == [[0, 2, 0, 4]]


def test_the_evaluator_of_onnx_stands_in_for_onnxruntime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    source = OnnxSource.read(onnx_file(tmp_path), {})
    assert source.framework == "onnx's reference evaluator"
    assert source.reference([-np.ones((1, 4), dtype="float32")])[0].tolist() == [[0, 0, 0, 0]]


def test_a_fixed_onnx_batch_stays(tmp_path: Path) -> None:
    assert not OnnxSource.read(onnx_file(tmp_path, dims=(2, 4)), {}).batched


def test_open_dimensions_must_be_settled(tmp_path: Path) -> None:
    path = onnx_file(tmp_path, dims=("batch", "width"))
    with pytest.raises(UsageError, match=r"\[batch, width\].*--input-shapes"):
        OnnxSource.read(path, {})
    assert OnnxSource.read(path, {"x": (1, 9)}).dims == (("N", 9),)
    for wrong in ({"x": (1, 9, 9)}, {"x": (1,)}, {"z": (1, 9)}):
        with pytest.raises(UsageError, match="--input-shapes"):
            OnnxSource.read(path, wrong)
    with pytest.raises(UsageError, match="does not fit"):
        OnnxSource.read(onnx_file(tmp_path), {"x": (1, 5)})


def test_an_unsupported_onnx_operator_is_named(tmp_path: Path) -> None:
    path = onnx_file(tmp_path, operator="RandomUniformLike", dims=(4, 4, 4))
    source = OnnxSource.read(path, {})
    with pytest.raises(UnsupportedOperator, match="operator RandomUniformLike"):
        source.relax(None)


@pytest.mark.parametrize("content", [b"", b"not onnx at all", None])
def test_a_file_that_is_no_onnx_is_unreadable(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "broken.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NetworkUnreadable, match=r"broken\.onnx"):
        OnnxSource.read(path, {})
