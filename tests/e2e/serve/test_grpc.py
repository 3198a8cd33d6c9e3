"""The Open Inference Protocol over gRPC, with NVIDIA's own client."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ovenbird_runtime
from support.serving import Serving

pytest.importorskip("h2")
triton = pytest.importorskip("tritonclient.grpc")


@pytest.fixture(scope="module")
def serving(tiny: Path) -> Iterator[Serving]:
    with Serving.start(tiny, "--grpc-port", 0) as server:
        yield server


@pytest.fixture(scope="module")
def client(serving: Serving) -> Iterator[Any]:
    with triton.InferenceServerClient(f"127.0.0.1:{serving.wait_for('listening_grpc')['port']}") as found:
        yield found


@pytest.fixture(scope="module")
def image() -> np.ndarray[Any, Any]:
    return np.random.default_rng(5).standard_normal((3, 3, 32, 32)).astype(np.float32)


def an_input(image: np.ndarray[Any, Any]) -> Any:
    tensor = triton.InferInput("image", list(image.shape), "FP32")
    tensor.set_data_from_numpy(image)
    return tensor


def test_health_and_metadata_are_answered(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("tiny")
    assert client.get_server_metadata().name == "ovenbird"
    metadata = client.get_model_metadata("tiny")
    assert list(metadata.inputs[0].shape) == [-1, 3, 32, 32]
    assert [output.name for output in metadata.outputs] == ["logits", "embedding"]


def test_inference_gives_the_outputs_asked_for(client: Any, tiny: Path, image: np.ndarray[Any, Any]) -> None:
    with ovenbird_runtime.load(tiny) as model:
        expected = model.run({"image": image})
    result = client.infer("tiny", [an_input(image)], request_id="42")
    assert result.get_response().id == "42"
    for name, array in expected.items():
        np.testing.assert_allclose(result.as_numpy(name), array, rtol=1e-5, atol=1e-5)
    one = client.infer("tiny", [an_input(image)], outputs=[triton.InferRequestedOutput("embedding")])
    assert [output.name for output in one.get_response().outputs] == ["embedding"]
    classes = client.infer("tiny", [an_input(image)], outputs=[triton.InferRequestedOutput("logits", class_count=2)])
    best = classes.as_numpy("logits")[0][0].decode().split(":")
    assert int(best[1]) == int(expected["logits"][0].argmax())


def test_typed_contents_are_read(serving: Serving, image: np.ndarray[Any, Any]) -> None:
    import grpc

    from ovenbird_runtime.serve.grpc.messages import message

    request = message("ModelInferRequest")(model_name="tiny")
    tensor = request.inputs.add(name="image", datatype="FP32", shape=image.shape)
    tensor.contents.fp32_contents.extend(image.reshape(-1).tolist())
    with grpc.insecure_channel(f"127.0.0.1:{serving.wait_for('listening_grpc')['port']}") as channel:
        infer = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            request_serializer=message("ModelInferRequest").SerializeToString,
            response_deserializer=message("ModelInferResponse").FromString,
        )
        assert list(infer(request, timeout=10).outputs[0].shape) == [3, 5]


@pytest.mark.parametrize(
    ("model", "shape", "status"),
    [
        ("other", (1, 3, 32, 32), "NOT_FOUND"),
        ("tiny", (1, 3, 32, 31), "INVALID_ARGUMENT"),
        ("tiny", (0, 3, 32, 32), "INVALID_ARGUMENT"),
        ("tiny", (1000, 3, 32, 32), "RESOURCE_EXHAUSTED"),
    ],
)
def test_errors_have_statuses(client: Any, model: str, shape: tuple[int, ...], status: str) -> None:
    with pytest.raises(triton.InferenceServerException) as caught:
        client.infer(model, [an_input(np.zeros(shape, np.float32))])
    assert status in caught.value.status()


def test_a_call_past_its_deadline_is_refused(client: Any, image: np.ndarray[Any, Any]) -> None:
    with pytest.raises(triton.InferenceServerException) as caught:
        client.infer("tiny", [an_input(np.repeat(image, 60, 0))], client_timeout=0.001)
    assert "DEADLINE_EXCEEDED" in caught.value.status()
    assert client.is_server_live()


def test_calls_that_have_begun_are_answered_while_draining(tiny: Path, image: np.ndarray[Any, Any]) -> None:
    with Serving.start(tiny, "--grpc-port", 0) as server:
        address = f"127.0.0.1:{server.wait_for('listening_grpc')['port']}"
        with triton.InferenceServerClient(address) as client:
            answers = [client.async_infer("tiny", [an_input(image)], callback=lambda result, error: None)]
            time.sleep(0.2)
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(20) == 0
            assert len(answers) == 1
