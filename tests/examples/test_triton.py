"""The Triton model: its configuration is Triton's by tritonclient's protocol, its code runs against a stand-in.

The stand-in has of Triton's module what its documentation names; that Triton itself loads the folder is not shown here.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2

import ovenbird_runtime

from .conftest import EXAMPLES

MODEL = EXAMPLES / "triton/model"


class Tensor:
    """A tensor of Triton's, with a name."""

    def __init__(self, name: str, array: np.ndarray) -> None:
        self.name, self._array = name, array

    def as_numpy(self) -> np.ndarray:
        return self._array


class Response:
    """An answer: tensors, or an error."""

    def __init__(self, output_tensors: list[Tensor] = (), error: Any = None) -> None:  # type: ignore[assignment]
        self.outputs, self.error = {one.name: one.as_numpy() for one in output_tensors}, error


class Config:
    """What the server lends a model to complete: the configuration as its protocol has it."""

    def __init__(self, text: str) -> None:
        self.proto = text_format.Parse(text, model_config_pb2.ModelConfig())

    def as_dict(self) -> dict[str, Any]:
        return json_format.MessageToDict(
            self.proto, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )

    def add_input(self, tensor: dict[str, Any]) -> None:
        json_format.ParseDict(tensor, self.proto.input.add())

    def add_output(self, tensor: dict[str, Any]) -> None:
        json_format.ParseDict(tensor, self.proto.output.add())

    def set_max_batch_size(self, size: int) -> None:
        self.proto.max_batch_size = size


@pytest.fixture
def folder(artifact: Path, tmp_path: Path) -> Path:
    """The model's folder in a repository, with the artifact that its first lines copy there."""
    shutil.copytree(MODEL, tmp_path / "model")
    shutil.copytree(artifact, tmp_path / "model/1/artifact")
    return tmp_path / "model"


@pytest.fixture
def loaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> type:
    """The class that Triton looks for."""
    utilities = ModuleType("triton_python_backend_utils")
    vars(utilities).update(
        Tensor=Tensor,
        InferenceResponse=Response,
        TritonError=str,
        get_input_tensor_by_name=lambda request, name: request.inputs[name],
    )
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", utilities)
    spec = importlib.util.spec_from_file_location("model", folder / "1/model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.TritonPythonModel  # type: ignore[no-any-return]


def request(rows: np.ndarray) -> SimpleNamespace:
    return SimpleNamespace(inputs={"image": Tensor("image", rows)})


def test_the_configuration_is_tritons_and_is_completed_from_the_manifest(folder: Path, loaded: Any) -> None:
    config = Config((folder / "config.pbtxt").read_text())
    proto = loaded.auto_complete_config(config).proto
    assert proto.backend == "python"
    assert proto.instance_group[0].kind == model_config_pb2.ModelInstanceGroup.KIND_CPU
    assert proto.max_batch_size == 32
    assert proto.HasField("dynamic_batching")
    kinds = {one.name: (model_config_pb2.DataType.Name(one.data_type), list(one.dims)) for one in proto.input}
    assert kinds == {"image": ("TYPE_FP32", [3, 32, 32])}
    assert {one.name: list(one.dims) for one in proto.output} == {"logits": [5], "embedding": [8]}


def test_requests_are_run_together_and_taken_apart(folder: Path, loaded: Any, artifact: Path) -> None:
    model = loaded()
    model.initialize({"model_config": "{}"})
    draws = np.random.default_rng(0)
    images = [draws.standard_normal((rows, 3, 32, 32)).astype(np.float32) for rows in (1, 3, 2)]
    responses = model.execute([request(rows) for rows in images])
    with ovenbird_runtime.load(artifact) as alone:
        for rows, response in zip(images, responses, strict=True):
            for name, value in alone.run({"image": rows}).items():
                np.testing.assert_allclose(response.outputs[name], value, rtol=1e-4, atol=1e-5)


def test_a_request_that_is_wrong_fails_alone(folder: Path, loaded: Any) -> None:
    model = loaded()
    model.initialize({"model_config": "{}"})
    good, bad = np.zeros((2, 3, 32, 32), np.float32), np.full((1, 3, 32, 32), np.nan, np.float32)
    first, second, third = model.execute([request(good), request(bad), request(good)])
    assert first.outputs["logits"].shape == third.outputs["logits"].shape == (2, 5)
    assert "NaN" in second.error or "finite" in second.error
