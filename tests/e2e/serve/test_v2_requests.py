"""Requests of the Open Inference Protocol over HTTP that others' clients send, or should not: each has its status."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from support.serving import Serving

ZERO = np.zeros((1, 3, 32, 32), np.float32)
FLAT: list[Any] = ZERO.reshape(-1).tolist()
RAW = ZERO.tobytes()
LENGTH = "Inference-Header-Content-Length"


def an_input(**changes: Any) -> dict[str, Any]:
    """Return an input as JSON; a change to `...` leaves a field out."""
    found = {"name": "image", "datatype": "FP32", "shape": [1, 3, 32, 32], "data": FLAT} | changes
    return {name: value for name, value in found.items() if value is not ...}


def ask(server: Serving, value: Any) -> tuple[int, Any]:
    return server.json("POST", "/v2/models/tiny/infer", value)


def nested(change: Any) -> Any:
    found = ZERO.tolist()
    change(found[0][0])
    return found


def shorten_and_lengthen(rows: Any) -> None:
    rows[1].append(rows[0].pop())


def mix(rows: Any) -> None:
    rows[0] = 5.0


def deepen(rows: Any) -> None:
    rows[0][0] = [1.0]


@pytest.mark.parametrize(
    "data",
    [
        ZERO.reshape(3, 1, 32, 32).tolist(),
        ZERO.reshape(1, 3, 1024).tolist(),
        ZERO.reshape(3072, 1).tolist(),
        ZERO.reshape(1, 3072).tolist(),
        ZERO.reshape(1, 1, 3, 32, 32).tolist(),
        nested(shorten_and_lengthen),
        nested(mix),
        nested(deepen),
        [*FLAT[:-1], [0.0]],
        [[0.0], *FLAT[1:]],
        json.loads("[" * 200 + "]" * 200),
        [],
        FLAT[:-1],
        [*FLAT, 0.0],
        [None, *FLAT[1:]],
        [True, *FLAT[1:]],
        ["0", *FLAT[1:]],
        [10**400, *FLAT[1:]],
        "0",
        {"0": 0},
        None,
        ...,
    ],
)
def test_data_that_is_not_as_its_shape(server: Serving, data: Any) -> None:
    status, answer = ask(server, {"inputs": [an_input(data=data)]})
    assert status == 400, answer
    assert answer["type"] in ("WrongShape", "WrongDtype", "BadRequest")


def test_data_nested_as_its_shape(server: Serving) -> None:
    assert ask(server, {"inputs": [an_input(data=ZERO.tolist())]})[0] == 200


@pytest.mark.parametrize(
    "shape",
    [
        [-1, 3, 32, 32], [2**40, 2**40], [2**30] * 8, [0, 2**30, 2**30, 2**30], [0, 3, 32, 32], [], [1] * 9,
        [1.0, 3, 32, 32], [True, 3, 32, 32], "1", None, ..., [[1]], {"0": 1},
    ],
)  # fmt: skip
def test_shapes_that_do_not_fit_are_refused(server: Serving, shape: Any) -> None:
    for data in (FLAT, []):
        status, answer = ask(server, {"inputs": [an_input(shape=shape, data=data)]})
        assert (status, answer["type"]) == (400, "WrongShape")


@pytest.mark.parametrize(
    ("datatype", "value"),
    [
        ("FLOAT32", 0.0), ("fp32", 0.0), ("BF16", 0.0), ("BYTES", "x"), ("", 0.0), (None, 0.0), (5, 0.0),
        ("UINT8", 256), ("UINT8", -1), ("INT8", 128), ("INT8", 0.5), ("UINT64", 2**64), ("INT64", 2**63),
        ("BOOL", 1), ("BOOL", "true"), ("INT32", 0), ("BOOL", True),
    ],
)  # fmt: skip
def test_datatypes_that_do_not_fit_are_refused(server: Serving, datatype: Any, value: Any) -> None:
    status, answer = ask(server, {"inputs": [an_input(datatype=datatype, data=[value] * 3072)]})
    assert (status, answer["type"]) == (400, "WrongDtype")
    assert ".astype" not in answer["error"]


@pytest.mark.parametrize(
    "value",
    [
        {}, [], {"inputs": {}}, {"inputs": []}, {"inputs": [1]}, {"inputs": [an_input(name=...)]},
        {"inputs": [an_input(name=1)]}, {"inputs": [an_input(name="other")]}, {"inputs": [an_input(), an_input()]},
        {"inputs": [an_input(), an_input(name="more")]}, {"inputs": [an_input()] * 300},
        {"inputs": [an_input()], "outputs": {}}, {"inputs": [an_input()], "outputs": ["logits"]},
        {"inputs": [an_input()], "outputs": [{"name": "logits"}] * 2},
        {"inputs": [an_input()], "outputs": [{"name": "other"}]}, {"inputs": [an_input()], "id": 5},
        {"inputs": [an_input()], "parameters": []}, {"inputs": [an_input(parameters=[])]},
        {"inputs": [an_input()], "parameters": {"sequence_id": 7}},
        {"inputs": [an_input()], "parameters": {"sequence_start": True}},
        {"inputs": [an_input()], "parameters": {"nan": True}},
        {"inputs": [an_input(data=..., parameters={"shared_memory_region": "x", "shared_memory_byte_size": 1})]},
        {"inputs": [an_input()], "outputs": [{"name": "logits", "parameters": {"shared_memory_region": "x"}}]},
        {"inputs": [an_input()], "outputs": [{"name": "logits", "parameters": {"classification": -1}}]},
        {"inputs": [an_input()], "outputs": [{"name": "logits", "parameters": {"classification": 2**63}}]},
        {"inputs": [an_input()], "outputs": [{"name": "logits", "parameters": {"classification": True}}]},
        {"inputs": [an_input()], "outputs": [{"name": "logits", "parameters": {"binary_data": 1}}]},
    ],
)  # fmt: skip
def test_requests_that_mean_nothing(server: Serving, value: Any) -> None:
    status, answer = ask(server, value)
    assert status == 400, answer


@pytest.mark.parametrize(
    "parameters",
    [{"sequence_id": 0, "sequence_start": False}, {"unknown": [1, {}]}, {"timeout": 5, "priority": 1}, {"x": None}],
)
def test_parameters_that_change_nothing(server: Serving, parameters: dict[str, Any]) -> None:
    assert ask(server, {"inputs": [an_input()], "parameters": parameters})[0] == 200


def binary(
    server: Serving, payload: bytes, size: Any, length: str | None = None, parameters: Any = None, **changes: Any
) -> tuple[int, bytes]:
    item = an_input(data=..., parameters={"binary_data_size": size}, **changes)
    head = json.dumps({"parameters": parameters or {}, "inputs": [item]}).encode()
    headers = {LENGTH: str(len(head)) if length is None else length}
    status, _, answer = server.request("POST", "/v2/models/tiny/infer", head + payload, headers)
    return status, answer


@pytest.mark.parametrize(
    ("payload", "size"),
    [
        (RAW + b"1234", len(RAW) + 4), (RAW[:-4], len(RAW) - 4), (RAW, len(RAW) + 4), (RAW, len(RAW) - 4),
        (RAW + b"1234", len(RAW)), (RAW, 0), (b"", 0), (RAW, -1), (RAW, "12288"), (RAW, True), (RAW, 2.0),
        (RAW, 10**30),
    ],
)  # fmt: skip
def test_raw_tensors_of_another_length(server: Serving, payload: bytes, size: Any) -> None:
    status, answer = binary(server, payload, size)
    assert status == 400, answer


@pytest.mark.parametrize("length", ["999999", "-5", "word", "10", "10.0", "+10", "0x10", " ", "1" * 30])
def test_lengths_of_the_header(server: Serving, length: str) -> None:
    status, answer = binary(server, RAW, len(RAW), length)
    assert status == 400, answer


def test_data_beside_raw_data(server: Serving) -> None:
    item = an_input(parameters={"binary_data_size": len(RAW)})
    head = json.dumps({"inputs": [item]}).encode()
    status, _, answer = server.request("POST", "/v2/models/tiny/infer", head + RAW, {LENGTH: str(len(head))})
    assert (status, json.loads(answer)["type"]) == (400, "BadRequest")


def test_a_body_that_is_only_a_tensor(server: Serving) -> None:
    """Triton's raw binary request: no JSON, the body is the one input, and all comes back as raw bytes."""
    for rows in (1, 3):
        status, headers, body = server.request("POST", "/v2/models/tiny/infer", RAW * rows, {LENGTH: "0"})
        assert status == 200
        head = json.loads(body[: int(headers[LENGTH.lower()])])
        assert head["outputs"][0]["shape"] == [rows, 5]
    for wrong in (RAW[:-4], RAW + b"1234", b""):
        assert server.request("POST", "/v2/models/tiny/infer", wrong, {LENGTH: "0"})[0] == 400


def test_nan_is_refused_until_it_is_allowed(server: Serving, tiny: Any) -> None:
    image = ZERO.copy()
    image[0, 0, 0, 0], image[0, 1, 0, 0] = np.nan, np.inf
    status, answer = binary(server, image.tobytes(), image.nbytes)
    assert status == 400
    document = json.loads(answer)
    assert document["type"] == "NotFinite"
    assert '"nan": "allow"' in document["error"]
    assert "--nan allow" in document["error"]
    assert binary(server, image.tobytes(), image.nbytes, parameters={"nan": "allow"})[0] == 200
    with Serving.start(tiny, "--nan", "allow") as other:
        status, answer = binary(other, image.tobytes(), image.nbytes)
        assert status == 200
        assert binary(other, image.tobytes(), image.nbytes, parameters={"nan": "refuse"})[0] == 400


# extension -> what it consists of
ROUTES = {
    "model_configuration": [("GET", "/v2/models/tiny/config")],
    "statistics": [("GET", "/v2/models/tiny/stats"), ("GET", "/v2/models/stats")],
    "model_repository": [
        ("POST", "/v2/repository/index"), ("POST", "/v2/repository/models/tiny/load"),
        ("POST", "/v2/repository/models/tiny/unload"),
    ],
    "system_shared_memory": [("GET", "/v2/systemsharedmemory/status")],
    "cuda_shared_memory": [("GET", "/v2/cudasharedmemory/status")],
    "trace": [("GET", "/v2/trace/setting")],
    "logging": [("GET", "/v2/logging")],
    "generate": [("POST", "/v2/models/tiny/generate")],
}  # fmt: skip


def test_extensions_are_what_is_there(server: Serving) -> None:
    listed = set(server.json("GET", "/v2")[1]["extensions"])
    offered = {
        name
        for name, routes in ROUTES.items()
        if not {server.request(method, path)[0] for method, path in routes} & {404, 501}
    }
    if binary(server, RAW, len(RAW))[0] == 200:
        offered.add("binary_tensor_data")
    output = {"name": "logits", "parameters": {"classification": 1}}
    if ask(server, {"inputs": [an_input()], "outputs": [output]})[1]["outputs"][0]["datatype"] == "BYTES":
        offered.add("classification")
    if ask(server, {"inputs": [an_input()], "parameters": {"sequence_id": 1, "sequence_start": True}})[0] == 200:
        offered.add("sequence")
    assert listed == offered


def test_nothing_is_left_behind(server: Serving) -> None:
    assert server.metric("ovenbird_admitted_images") == 0
    assert server.events("failure") == []
