"""Tensors of every dtype through the server, by NVIDIA's clients with their own numpy types; and through `run`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.serving import Serving

from ..conftest import Command

http = pytest.importorskip("tritonclient.http")
grpc = pytest.importorskip("tritonclient.grpc")
NAMES = {
    "bool": "BOOL", "uint8": "UINT8", "int8": "INT8", "int16": "INT16", "int32": "INT32", "int64": "INT64",
    "float16": "FP16", "bfloat16": "FP32", "float32": "FP32", "float64": "FP64",
}  # fmt: skip
"""By the input's name. numpy has no bfloat16: it is float32 outside of the network."""
ROWS = 3


@pytest.fixture(scope="module")
def artifact(compiled: Callable[..., Path]) -> Path:
    return compiled("networks:kinds")


@pytest.fixture(scope="module")
def server(artifact: Path) -> Iterator[Serving]:
    with Serving.start(f"kinds={artifact}", "--grpc-port", 0) as running:
        yield running


def given(name: str) -> np.ndarray[Any, Any]:
    """Return an input with the ends of its dtype's range in it, as far as twice as much stays within."""
    dtype = np.dtype("float32" if name == "bfloat16" else name)
    numbers = np.arange(ROWS * 3).reshape(ROWS, 3)
    if dtype.kind == "b":
        return numbers % 2 == 0
    found = numbers.astype(dtype) / dtype.type(4) if dtype.kind == "f" else numbers.astype(dtype)
    if name != "bfloat16":
        limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
        half = limits.max / 2 if dtype.kind == "f" else limits.max // 2
        found[0] = half, limits.min / 2 if dtype.kind == "f" else -(-limits.min // 2), 1
    return found


def right(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return ~array if array.dtype.kind == "b" else array + array


def infer(triton: Any, port: int, **options: Any) -> dict[str, np.ndarray[Any, Any]]:
    """Send all inputs, each as its own dtype; return the answers by the inputs' names."""
    asked = []
    for name, datatype in NAMES.items():
        tensor = triton.InferInput(name, [ROWS, 3], datatype)
        tensor.set_data_from_numpy(given(name), **({} if name == "float16" else options))
        asked.append(tensor)
    outputs = [triton.InferRequestedOutput(f"{name}_out", **options) for name in NAMES]
    with triton.InferenceServerClient(f"127.0.0.1:{port}") as client:
        result = client.infer("kinds", asked, outputs=outputs if triton is http else None)
        return {name: result.as_numpy(f"{name}_out") for name in NAMES}


def check(found: dict[str, np.ndarray[Any, Any]]) -> None:
    for name in NAMES:
        expected = right(given(name))
        assert (name, found[name].dtype, found[name].shape) == (name, expected.dtype, expected.shape)
        if name == "float64":  # computed in float32
            np.testing.assert_allclose(found[name][1:], expected[1:], rtol=1e-6)
        else:
            np.testing.assert_array_equal(found[name], expected)


@pytest.mark.parametrize("binary", [True, False])
def test_every_dtype_over_http(server: Serving, binary: bool) -> None:
    check(infer(http, server.port, binary_data=binary))


def test_every_dtype_over_grpc(server: Serving) -> None:
    check(infer(grpc, server.wait_for("listening_grpc")["port"]))


def test_run_takes_and_gives_every_dtype(ovenbird: Command, artifact: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", **{name: given(name) for name in NAMES})
    done = ovenbird("run", artifact, "--inputs", tmp_path / "in.npz", "--outputs", tmp_path / "out.npz")
    assert done.code == 0, done.err
    found = np.load(tmp_path / "out.npz")
    check({name: found[f"{name}_out"] for name in NAMES})
