"""Artifacts of schema 1, answered over HTTP and judged by today's compiler."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.serving import Serving

SCHEMA1 = Path(__file__).parents[1] / "support" / "schema1"
PHOTOGRAPH = Path(__file__).parents[2] / "compile" / "ovenbird" / "data" / "chelsea.jpg"
pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="the code in these artifacts is for x86-64")


@pytest.fixture(scope="module")
def server() -> Iterator[Serving]:
    with Serving.start(*(SCHEMA1 / name for name in ("classifier", "tensors", "signed"))) as running:
        yield running


@pytest.mark.parametrize("pipeline", ["imagenet", "zoom-crop-pad"])
def test_a_photograph_is_answered_as_it_was_then(server: Serving, pipeline: str) -> None:
    expected = json.loads((SCHEMA1 / "expected.json").read_bytes())[pipeline]
    path = f"/v1/models/classifier:predict?preprocess={pipeline}&top=5&seed=3"
    status, _, body = server.request("POST", path, PHOTOGRAPH.read_bytes(), {"Content-Type": "image/jpeg"})
    assert status == 200, body
    (found,) = json.loads(body)["predictions"]
    was, now = (one["classes"]["logits"] for one in (expected, found))
    assert [(one["index"], one["label"]) for one in now] == [(one["index"], one["label"]) for one in was]
    assert [one["confidence"] for one in now] == pytest.approx([one["confidence"] for one in was], rel=1e-4)


def test_tensors_of_any_batch_are_answered(server: Serving) -> None:
    status, told = server.json("GET", "/v2/models/tensors")
    assert (status, [tensor["shape"] for tensor in told["inputs"]]) == (200, [[-1, 6], [-1, 4]])
    random = np.random.default_rng(0)
    rows, scale = (random.standard_normal((5, width)).astype(np.float32) for width in (6, 4))

    def infer(some: slice) -> Any:
        inputs = [
            {"name": name, "datatype": "FP32", "shape": list(array[some].shape), "data": array[some].ravel().tolist()}
            for name, array in (("rows", rows), ("scale", scale))
        ]
        status, answer = server.json("POST", "/v2/models/tensors/infer", {"inputs": inputs})
        assert status == 200, answer
        return np.array(answer["outputs"][0]["data"]).reshape(answer["outputs"][0]["shape"])

    alone = [infer(slice(index, index + 1)) for index in range(5)]
    np.testing.assert_allclose(infer(slice(None)), np.concatenate(alone), rtol=1e-5, atol=1e-6)


def test_a_fixed_batch_is_answered(server: Serving) -> None:
    values = list(range(12))
    tensor = {"name": "rows", "datatype": "FP32", "shape": [3, 4], "data": values}
    status, answer = server.json("POST", "/v2/models/signed/infer", {"inputs": [tensor]})
    assert status == 200, answer
    right = np.array(values, np.float32).reshape(3, 4)
    np.testing.assert_allclose(answer["outputs"][0]["data"], (right - right.mean(0)).ravel())


@pytest.mark.parametrize(("name", "network"), [("tensors", "make:scaled"), ("signed", "make:centred")])
def test_todays_compiler_finds_it_right(ovenbird: Any, name: str, network: str) -> None:
    done = ovenbird("verify", name, "--model", network, "-q", folder=SCHEMA1)
    assert done.code == 0, done.err
    assert f"{name} is its network" in done.out
