"""The Open Inference Protocol over HTTP, with NVIDIA's own client and by hand."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ovenbird_runtime
from support.serving import Serving

INFER = "/v2/models/tiny/infer"
triton = pytest.importorskip("tritonclient.http")


@pytest.fixture(scope="module")
def image() -> np.ndarray[Any, Any]:
    return np.random.default_rng(5).standard_normal((3, 3, 32, 32)).astype(np.float32)


@pytest.fixture(scope="module")
def expected(tiny: Path, image: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    with ovenbird_runtime.load(tiny) as model:
        return model.run({"image": image})


@pytest.fixture(scope="module")
def client(server: Serving) -> Any:
    with triton.InferenceServerClient(f"127.0.0.1:{server.port}") as found:
        yield found


def an_input(image: np.ndarray[Any, Any], binary: bool) -> Any:
    tensor = triton.InferInput("image", list(image.shape), "FP32")
    tensor.set_data_from_numpy(image, binary_data=binary)
    return tensor


def test_triton_client_sees_the_server(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("tiny")
    assert client.get_server_metadata()["name"] == "ovenbird"
    assert client.get_model_metadata("tiny")["inputs"][0]["shape"] == [-1, 3, 32, 32]
    assert client.get_model_config("tiny")["max_batch_size"] == 4
    assert client.get_inference_statistics("tiny")["model_stats"][0]["name"] == "tiny"


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False, None])
def test_triton_client_infers(
    client: Any, image: np.ndarray[Any, Any], expected: dict[str, Any], binary_in: bool, binary_out: bool | None
) -> None:
    outputs = None
    if binary_out is not None:
        outputs = [triton.InferRequestedOutput(name, binary_data=binary_out) for name in ("embedding", "logits")]
    result = client.infer("tiny", [an_input(image, binary_in)], outputs=outputs, request_id="42")
    assert result.get_response()["id"] == "42"
    for name in expected:
        np.testing.assert_allclose(result.as_numpy(name), expected[name], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_triton_client_compresses(
    client: Any, image: np.ndarray[Any, Any], expected: dict[str, Any], algorithm: str
) -> None:
    result = client.infer(
        "tiny",
        [an_input(image, True)],
        request_compression_algorithm=algorithm,
        response_compression_algorithm=algorithm,
    )
    np.testing.assert_allclose(result.as_numpy("logits"), expected["logits"], rtol=1e-5, atol=1e-5)


def test_triton_client_asks_for_one_output(client: Any, image: np.ndarray[Any, Any]) -> None:
    result = client.infer("tiny", [an_input(image, True)], outputs=[triton.InferRequestedOutput("embedding")])
    assert [output["name"] for output in result.get_response()["outputs"]] == ["embedding"]


def test_triton_client_asks_for_classes(client: Any, image: np.ndarray[Any, Any], expected: dict[str, Any]) -> None:
    wanted = triton.InferRequestedOutput("logits", class_count=2)
    rows = client.infer("tiny", [an_input(image, True)], outputs=[wanted]).as_numpy("logits")
    best = int(expected["logits"][0].argmax())
    assert rows.shape == (3, 2)
    assert rows[0][0].decode().split(":")[1:] == [str(best), f"class {best}"]


def test_triton_client_gets_errors(client: Any, image: np.ndarray[Any, Any]) -> None:
    with pytest.raises(triton.InferenceServerException, match="has shape"):
        client.infer("tiny", [an_input(image[:, :, :16], True)])
    with pytest.raises(triton.InferenceServerException, match="no output"):
        client.infer("tiny", [an_input(image, True)], outputs=[triton.InferRequestedOutput("masks")])


def body_of(image: np.ndarray[Any, Any], **changes: Any) -> dict[str, Any]:
    tensor = {"name": "image", "datatype": "FP32", "shape": list(image.shape), "data": image.reshape(-1).tolist()}
    return {"id": "7", "inputs": [tensor | changes]}


def test_plain_json_is_answered(server: Serving, image: np.ndarray[Any, Any], expected: dict[str, Any]) -> None:
    status, answer = server.json("POST", INFER, body_of(image))
    assert status == 200
    assert answer["id"] == "7"
    assert answer["outputs"][0]["datatype"] == "FP32"
    np.testing.assert_allclose(
        np.array(answer["outputs"][0]["data"]).reshape(3, 5), expected["logits"], rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("binary", [True, False])
def test_large_answer_is_whole(tiny: Path, binary: bool) -> None:
    """It is written and compressed off the event loop."""
    image = np.random.default_rng(6).standard_normal((2000, 3, 32, 32)).astype(np.float32)
    with ovenbird_runtime.load(tiny) as model:
        expected = model.run({"image": image})
    tensor = {"name": "image", "datatype": "FP32", "shape": list(image.shape)}
    head = json.dumps(
        {
            "inputs": [tensor | {"parameters": {"binary_data_size": image.nbytes}}],
            "parameters": {"binary_data_output": binary},
        }
    ).encode()
    headers = {"Inference-Header-Content-Length": str(len(head)), "Accept-Encoding": "gzip"}
    with Serving.start(tiny, "--max-body-bytes", 32 << 20, "--queue", 2000, "--timeout-ms", 20000) as server:
        status, answered, body = server.request("POST", INFER, head + image.tobytes(), headers)
    assert status == 200
    assert answered["content-encoding"] == "gzip"
    body = gzip.decompress(body)
    length = int(answered.get("inference-header-content-length", len(body)))
    found, tail = json.loads(body[:length])["outputs"], body[length:]
    for output in found:
        name = output["name"]
        size = output.get("parameters", {}).get("binary_data_size", 0)
        values = np.frombuffer(tail[:size], np.float32) if binary else np.array(output["data"], np.float32)
        tail = tail[size:]
        np.testing.assert_allclose(values.reshape(expected[name].shape), expected[name], rtol=1e-5, atol=1e-5)
    assert {output["name"] for output in found} == set(expected)
    assert tail == b""


def test_nested_json_is_read(server: Serving, image: np.ndarray[Any, Any]) -> None:
    assert server.json("POST", INFER, body_of(image, data=image.tolist()))[0] == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"datatype": "FP33"},
        {"datatype": "INT32"},
        {"shape": [3, 3, 32]},
        {"shape": [-1, 3, 32, 32]},
        {"shape": "3"},
        {"shape": [0, 3, 32, 32], "data": []},
        {"shape": [1 << 40, 1 << 40]},
        {"data": []},
        {"data": ["a"] * 9216},
        {"data": [None] * 9216},
        {"data": [1e39] * 9216},
        {"data": {}},
        {"name": "picture"},
        {"name": 3},
        {"parameters": {"binary_data_size": 36864}},
        {"parameters": {"binary_data_size": -1}},
        {"parameters": []},
    ],
)
def test_wrong_input_is_refused(server: Serving, image: np.ndarray[Any, Any], changes: dict[str, Any]) -> None:
    status, answer = server.json("POST", INFER, body_of(image, **changes))
    assert status == 400
    assert answer["error"]


@pytest.mark.parametrize("shape", [[-1, 3, 32, 32], [1 << 40, 3, 32, 32], [1.5, 3, 32, 32], [1] * 9])
def test_a_refused_shape_says_what_fits(server: Serving, image: np.ndarray[Any, Any], shape: list[Any]) -> None:
    _, answer = server.json("POST", INFER, body_of(image, shape=shape))
    assert answer["error"] == f"image has shape {shape}, expected up to 8 whole numbers from 0 to 2147483647"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'{"inputs": 3}', b'{"inputs": []}', b'{"inputs": [3]}', b"[" * 100_000, b"\xff\xfe"],
)
def test_what_is_no_request_is_refused(server: Serving, body: bytes) -> None:
    assert server.request("POST", INFER, body)[0] == 400


@pytest.mark.parametrize("length", ["-1", "99999999", "1e3", "0x10", "٣"])
def test_wrong_header_length_is_refused(server: Serving, length: str) -> None:
    headers = {"Inference-Header-Content-Length": length.encode("utf-8").decode("latin-1")}
    assert server.request("POST", INFER, b'{"inputs": []}', headers)[0] == 400


def filled_with(value: float) -> tuple[bytes, dict[str, str]]:
    data = np.full((1, 3, 32, 32), value, np.float32).tobytes()
    tensor = {"name": "image", "datatype": "FP32", "shape": [1, 3, 32, 32]}
    head = json.dumps({"inputs": [tensor | {"parameters": {"binary_data_size": len(data)}}]}).encode()
    return head + data, {"Inference-Header-Content-Length": str(len(head))}


def test_nan_is_refused(server: Serving) -> None:
    status, _, answer = server.request("POST", INFER, *filled_with(np.nan))
    assert status == 400
    assert json.loads(answer)["type"] == "NotFinite"


def test_nan_of_an_answer_is_null(server: Serving) -> None:
    """JSON has neither NaN nor infinity (RFC 8259, 6): a number in their place would be a wrong answer."""
    status, _, answer = server.request("POST", INFER, *filled_with(-3e38))  # too large to be added up
    values = {output["name"]: output["data"] for output in json.loads(answer)["outputs"]}
    assert status == 200
    assert set(values["logits"]) == {None}


def test_more_images_than_the_largest_batch(client: Any, tiny: Path) -> None:
    many = np.random.default_rng(6).standard_normal((23, 3, 32, 32)).astype(np.float32)
    with ovenbird_runtime.load(tiny) as model:
        expected = model.run({"image": many})["logits"]
    result = client.infer("tiny", [an_input(many, True)])
    np.testing.assert_allclose(result.as_numpy("logits"), expected, rtol=1e-5, atol=1e-5)
