"""A server of a network for several image sizes: pictures and tensors of different sizes at once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from support.pictures import encoded
from support.serving import Serving

SIZES = ((48, 48), (32, 64))


@pytest.fixture(scope="module")
def sized(compiled: Any) -> Path:
    found: Path = compiled("networks:segmenter", "--image-sizes", "48,32x64", "--batch-sizes", "1,4")
    return found


@pytest.fixture(scope="module")
def sized_server(sized: Path) -> Iterator[Serving]:
    with Serving.start(sized, "--batch-wait-ms", "20", "--grpc-port", "0") as running:
        yield running


def infer(server: Serving, image: Any) -> tuple[int, Any]:
    tensor = {"name": "image", "datatype": "FP32", "shape": list(image.shape)}
    tensor["parameters"] = {"binary_data_size": image.nbytes}
    head = json.dumps({"inputs": [tensor], "outputs": [{"name": "mask"}]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head)), "Content-Type": "application/octet-stream"}
    status, _, body = server.request("POST", "/v2/models/networks-segmenter/infer", head + image.tobytes(), headers)
    return status, json.loads(body)


def test_metadata_leaves_height_and_width_open(sized_server: Serving) -> None:
    _, told = sized_server.json("GET", "/v2/models/networks-segmenter")
    assert [tensor["shape"] for tensor in told["inputs"]] == [[-1, 3, -1, -1]]
    assert [tensor["shape"] for tensor in told["outputs"]] == [[-1, 5, -1, -1], [-1, 7], [-1, 5, -1]]
    _, config = sized_server.json("GET", "/v2/models/networks-segmenter/config")
    assert config["input"][0]["dims"] == [3, -1, -1]
    _, status = sized_server.json("GET", "/status")
    assert set(status["models"][0]["batch_cost_ms_by_image_size"]) == {"48x48", "32x64"}


def test_sizes_at_once_are_batched_apart(sized_server: Serving) -> None:
    from e2e import networks

    net, random = networks.segmenter()[0].eval(), np.random.default_rng(0)
    images = [random.standard_normal((rows, 3, *size), np.float32) for rows in (1, 2, 3) for size in SIZES] * 4
    answers: list[Any] = [None] * len(images)

    def work(place: int) -> None:
        answers[place] = infer(sized_server, images[place])

    threads = [threading.Thread(target=work, args=(place,)) for place in range(len(images))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for image, (status, answer) in zip(images, answers, strict=True):
        assert status == 200, answer
        with torch.no_grad():
            right = net(torch.from_numpy(image))["mask"].numpy()
        found = np.array(answer["outputs"][0]["data"], np.float32).reshape(answer["outputs"][0]["shape"])
        np.testing.assert_allclose(found, right, atol=2e-5)
    assert sized_server.metric("ovenbird_images_total") == sum(len(image) for image in images)


@pytest.mark.parametrize("shape", [(1, 3, 64, 32), (2, 3, 48, 49), (1, 3, 0, 48)])
def test_another_size_is_refused_with_those_there_are(sized_server: Serving, shape: tuple[int, ...]) -> None:
    status, answer = infer(sized_server, np.zeros(shape, np.float32))
    assert status == 400
    assert "compiled for images of 48x48, 32x64" in answer["error"]


def test_a_body_without_a_shape_is_refused(sized_server: Serving) -> None:
    headers = {"Inference-Header-Content-Length": "0"}
    path = "/v2/models/networks-segmenter/infer"
    status, _, body = sized_server.request("POST", path, np.zeros((1, 3, 48, 48), np.float32).tobytes(), headers)
    assert (status, "image takes several image sizes" in json.loads(body)["error"]) == (400, True)


@pytest.mark.parametrize(("pipeline", "size"), [("imagenet", SIZES[0]), ("imagenet-32x64", SIZES[1])])
def test_a_picture_goes_to_the_size_of_its_pipeline(
    sized_server: Serving, pipeline: str, size: tuple[int, int]
) -> None:
    path = f"/v1/models/networks-segmenter:predict?preprocess={pipeline}"
    status, _, body = sized_server.request("POST", path, encoded(), {"Content-Type": "image/jpeg"})
    assert status == 200, body
    (found,) = json.loads(body)["predictions"]
    assert np.array(found["raw"]["mask"]).shape == (5, *size)


def test_grpc_knows_the_sizes_too(sized_server: Serving) -> None:
    grpc, pb = pytest.importorskip("grpc"), pytest.importorskip("tritonclient.grpc.service_pb2")
    stubs = pytest.importorskip("tritonclient.grpc.service_pb2_grpc")

    def request(*shape: int) -> Any:
        message = pb.ModelInferRequest(model_name="networks-segmenter")
        message.inputs.add(name="image", datatype="FP32", shape=shape)
        message.raw_input_contents.append(np.ones(shape, np.float32).tobytes())
        return message

    with grpc.insecure_channel(f"127.0.0.1:{sized_server.wait_for('listening_grpc')['port']}") as channel:
        stub = stubs.GRPCInferenceServiceStub(channel)
        metadata = stub.ModelMetadata(pb.ModelMetadataRequest(name="networks-segmenter"), timeout=20)
        assert list(metadata.inputs[0].shape) == [-1, 3, -1, -1]
        for size in SIZES:
            answer = stub.ModelInfer(request(2, 3, *size), timeout=20)
            assert list(answer.outputs[0].shape) == [2, 5, *size]
        with pytest.raises(grpc.RpcError, match="compiled for images of 48x48, 32x64"):
            stub.ModelInfer(request(1, 3, 64, 64), timeout=20)
