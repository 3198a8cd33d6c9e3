"""What others' gRPC tools ask a server besides inference: health, reflection, readiness, statistics."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.serving import Serving

pytest.importorskip("h2")
grpc = pytest.importorskip("grpc")
triton = pytest.importorskip("tritonclient.grpc")
triton_aio = pytest.importorskip("tritonclient.grpc.aio")
health_pb2 = pytest.importorskip("grpc_health.v1.health_pb2")
health_grpc = pytest.importorskip("grpc_health.v1.health_pb2_grpc")
reflection_pb2 = pytest.importorskip("grpc_reflection.v1alpha.reflection_pb2")
reflection_grpc = pytest.importorskip("grpc_reflection.v1alpha.reflection_pb2_grpc")
descriptor_pool = pytest.importorskip("google.protobuf.descriptor_pool")
reflection_database = pytest.importorskip("grpc_reflection.v1alpha.proto_reflection_descriptor_database")

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
IMAGE = np.random.default_rng(5).standard_normal((3, 3, 32, 32)).astype(np.float32)


@pytest.fixture(scope="module")
def serving(tiny: Path) -> Iterator[Serving]:
    with Serving.start(tiny, "--grpc-port", 0) as server:
        yield server


def address_of(server: Serving) -> str:
    return f"127.0.0.1:{server.wait_for('listening_grpc')['port']}"


@pytest.fixture(scope="module")
def address(serving: Serving) -> str:
    return address_of(serving)


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[Any]:
    with triton.InferenceServerClient(address) as found:
        yield found


def infer(client: Any, image: np.ndarray[Any, Any] = IMAGE, **options: Any) -> Any:
    tensor = triton.InferInput("image", list(image.shape), "FP32")
    tensor.set_data_from_numpy(image)
    return client.infer("tiny", [tensor], **options)


# ---- health


@pytest.mark.parametrize("service", ["", "inference.GRPCInferenceService", "tiny"])
def test_health_check_answers_for_server_and_model(address: str, service: str) -> None:
    with grpc.insecure_channel(address) as channel:
        answer = health_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service), timeout=10)
    assert answer.status == SERVING


def test_health_of_what_is_not_there(address: str) -> None:
    with grpc.insecure_channel(address) as channel:
        stub = health_grpc.HealthStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.Check(health_pb2.HealthCheckRequest(service="other"), timeout=10)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        watch = stub.Watch(health_pb2.HealthCheckRequest(service="other"), timeout=10)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        watch.cancel()


def test_health_watch_reports_the_end(tiny: Path) -> None:
    with Serving.start(tiny, "--grpc-port", 0) as server, grpc.insecure_channel(address_of(server)) as channel:
        statuses: list[int] = []
        watch = health_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=30)
        statuses.append(next(watch).status)
        rest = threading.Thread(target=lambda: statuses.extend(answer.status for answer in watch))
        rest.start()
        assert server.stop() == 0
        rest.join(20)
        assert not rest.is_alive()
    assert statuses == [SERVING, NOT_SERVING]


def test_health_is_reported_while_starting(tiny: Path) -> None:
    sources = [f"m{i}={tiny}" for i in range(8)]
    with (
        Serving.start(*sources, "--grpc-port", 0, ready=False) as server,
        grpc.insecure_channel(address_of(server)) as channel,
    ):
        stub = health_grpc.HealthStub(channel)
        seen = set()
        end = time.monotonic() + 60
        while SERVING not in seen and time.monotonic() < end:
            seen.add(stub.Check(health_pb2.HealthCheckRequest(), timeout=10).status)
        assert SERVING in seen
        assert stub.Check(health_pb2.HealthCheckRequest(service="m7"), timeout=10).status == SERVING


# ---- reflection


def test_reflection_gives_the_services_and_their_messages(address: str) -> None:
    with grpc.insecure_channel(address) as channel:
        database = reflection_database.ProtoReflectionDescriptorDatabase(channel)
        assert {"inference.GRPCInferenceService", "grpc.health.v1.Health"} <= set(database.get_services())
        pool = descriptor_pool.DescriptorPool(database)
        service = pool.FindServiceByName("inference.GRPCInferenceService")
        methods = {method.name for method in service.methods}
        assert {"ModelInfer", "ModelConfig", "ModelStatistics", "RepositoryIndex"} <= methods
        request = pool.FindMessageTypeByName("inference.ModelInferRequest")
        assert request.fields_by_name["raw_input_contents"].number == 7


@pytest.mark.parametrize(
    ("field", "value", "answer"),
    [
        ("file_containing_symbol", "inference.GRPCInferenceService.ModelInfer", "file_descriptor_response"),
        ("file_containing_symbol", "inference.ModelInferRequest.InferInputTensor", "file_descriptor_response"),
        ("file_containing_symbol", "inference.Nothing", "error_response"),
        ("file_by_filename", "health.proto", "file_descriptor_response"),
        ("file_by_filename", "../../etc/passwd", "error_response"),
        ("all_extension_numbers_of_type", "inference.ModelConfig", "all_extension_numbers_response"),
        ("all_extension_numbers_of_type", "inference.Nothing", "error_response"),
        ("list_services", "", "list_services_response"),
        ("list_services", "*", "list_services_response"),
    ],
)
def test_reflection_answers(address: str, field: str, value: str, answer: str) -> None:
    with grpc.insecure_channel(address) as channel:
        stub = reflection_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(**{field: value})
        found = list(stub.ServerReflectionInfo(iter([request, request]), timeout=10))
    assert [one.WhichOneof("message_response") for one in found] == [answer, answer]
    assert found[0].original_request == request


# ---- readiness, configuration, statistics, repository


def test_model_is_ready(client: Any, address: str) -> None:
    for version in ("", "1"):
        assert client.is_model_ready("tiny", version) is True

    async def ask() -> list[bool]:
        async with triton_aio.InferenceServerClient(address) as found:
            return [await found.is_model_ready("tiny"), await found.is_server_ready(), await found.is_server_live()]

    assert asyncio.run(ask()) == [True, True, True]
    with pytest.raises(triton.InferenceServerException, match="NOT_FOUND"):
        client.is_model_ready("tiny", "2")


def test_configuration_is_the_same_over_http(client: Any, serving: Serving) -> None:
    config = client.get_model_config("tiny", as_json=True)["config"]
    _, http = serving.json("GET", "/v2/models/tiny/config")
    assert config["name"] == http["name"] == "tiny"
    assert config["max_batch_size"] == http["max_batch_size"] >= 1
    assert config["input"] == [{"name": "image", "data_type": "TYPE_FP32", "dims": ["3", "32", "32"]}]
    assert [output["name"] for output in config["output"]] == [output["name"] for output in http["output"]]
    assert config["instance_group"][0]["kind"] == http["instance_group"][0]["kind"] == "KIND_CPU"


def test_statistics_count_what_was_done(tiny: Path) -> None:
    with Serving.start(tiny, "--grpc-port", 0) as server, triton.InferenceServerClient(address_of(server)) as client:
        before = time.time_ns() // 1_000_000
        for _ in range(4):
            infer(client)
        tensor = {"name": "image", "datatype": "FP32", "shape": [1, 3, 32, 32], "data": [0.5] * 3072}
        assert server.json("POST", "/v2/models/tiny/infer", {"inputs": [tensor]})[0] == 200
        assert server.json("POST", "/v2/models/tiny/infer", {"inputs": [tensor | {"shape": [1]}]})[0] == 400
        with pytest.raises(triton.InferenceServerException):
            infer(client, IMAGE[:, :2])
        [found] = server.json("GET", "/v2/models/tiny/stats")[1]["model_stats"]
        assert server.json("GET", "/v2/models/stats")[1] == {"model_stats": [found]}
        assert server.json("GET", "/v2/models/tiny/versions/1/stats")[1] == {"model_stats": [found]}
        stats = found["inference_stats"]
        assert (found["name"], found["version"]) == ("tiny", "1")
        assert (found["inference_count"], stats["success"]["count"], stats["fail"]["count"]) == (13, 5, 2)
        assert before <= found["last_inference"] <= time.time_ns() // 1_000_000
        assert sum(entry["compute_infer"]["count"] for entry in found["batch_stats"]) == found["execution_count"]
        assert sum(e["batch_size"] * e["compute_infer"]["count"] for e in found["batch_stats"]) == 13
        parts = [stats[name] for name in ("queue", "compute_input", "compute_infer", "compute_output")]
        assert {part["count"] for part in parts} == {5}
        assert 0 < sum(part["ns"] for part in parts) <= stats["success"]["ns"]
        for answer in (client.get_inference_statistics("tiny"), client.get_inference_statistics()):
            [over_grpc] = answer.model_stats
            assert over_grpc.inference_count == 13
            assert over_grpc.last_inference == found["last_inference"]
            assert over_grpc.inference_stats.success.ns == stats["success"]["ns"]
            assert over_grpc.inference_stats.fail.count == 2
            assert [entry.batch_size for entry in over_grpc.batch_stats] == [
                entry["batch_size"] for entry in found["batch_stats"]
            ]


def test_the_repository_is_listed_as_over_http(client: Any, serving: Serving) -> None:
    expected = {"name": "tiny", "version": "1", "state": "READY", "reason": ""}
    assert serving.json("POST", "/v2/repository/index") == (200, [expected])
    assert serving.json("POST", "/v2/repository/index", {"ready": True}) == (200, [expected])
    for value in ([], {"ready": 1}):
        assert serving.json("POST", "/v2/repository/index", value)[0] == 400
    [found] = client.get_model_repository_index().models
    assert (found.name, found.version, found.state) == ("tiny", "1", "READY")
    for act in (client.load_model, client.unload_model):
        with pytest.raises(triton.InferenceServerException, match=r"UNIMPLEMENTED.*--watch"):
            act("tiny")
    for verb in ("load", "unload"):
        assert serving.json("POST", f"/v2/repository/models/tiny/{verb}")[0] == 501


@pytest.mark.parametrize(
    "ask",
    ["get_trace_settings", "get_log_settings", "get_system_shared_memory_status", "get_cuda_shared_memory_status"],
)
def test_what_is_not_offered_says_so(client: Any, ask: str) -> None:
    with pytest.raises(triton.InferenceServerException) as caught:
        getattr(client, ask)()
    assert "UNIMPLEMENTED" in caught.value.status()
