"""Every other route, and what is no route."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from ovenbird_runtime.serve.metric_names import (
    ALL,
    CANCELLED,
    ENGINE_FAILURES,
    EXPIRED,
    PADDED_IMAGES,
    REJECTED,
    RELOADS,
)
from support.serving import Serving
from support.tiny_artifact import copy_tiny, retarget


def test_health(server: Serving) -> None:
    assert server.json("GET", "/v2/health/live") == (200, {"live": True})
    assert server.json("GET", "/v2/health/ready") == (200, {"ready": True, "state": "ready"})
    assert server.json("GET", "/v2/models/tiny/ready")[0] == 200
    assert server.json("GET", "/v2/models/tiny/versions/1/ready")[0] == 200


def test_metadata(server: Serving) -> None:
    _, answer = server.json("GET", "/v2/models/tiny")
    assert answer["inputs"] == [{"name": "image", "datatype": "FP32", "shape": [-1, 3, 32, 32]}]
    assert [output["name"] for output in answer["outputs"]] == ["logits", "embedding"]
    assert "binary_tensor_data" in server.json("GET", "/v2")[1]["extensions"]


def test_status_says_state_models_and_limits(server: Serving) -> None:
    _, answer = server.json("GET", "/status")
    assert answer["state"] == "ready"
    assert answer["models"][0]["name"] == "tiny"
    assert answer["limits"]["body_bytes"] == 10 * 1024 * 1024


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/nothing", 404, "UnknownRoute"),
        ("GET", "/v2/models/other", 404, "UnknownModel"),
        ("POST", "/v1/models/other:predict", 404, "UnknownModel"),
        ("POST", "/v2/models/tiny/versions/9/infer", 404, "UnknownModel"),
        ("GET", "/v1/models/tiny:predict", 405, "WrongMethod"),
        ("DELETE", "/v2/models/tiny", 405, "WrongMethod"),
        ("POST", "/v2/repository/models/tiny/load", 501, "NotOffered"),
        ("GET", "/../../etc/passwd", 404, "UnknownRoute"),
        ("GET", "/%2e%2e/etc/passwd", 404, "UnknownRoute"),
        ("GET", "/%ff", 400, "BadRequest"),
    ],
)
def test_what_is_no_route_is_json(server: Serving, method: str, path: str, status: int, kind: str) -> None:
    found, headers, body = server.request(method, path)
    assert found == status
    assert json.loads(body)["type"] == kind
    assert headers["content-type"] == "application/json"
    if status == 405:
        assert headers["allow"]


def test_head_has_no_body(server: Serving) -> None:
    status, headers, body = server.request("HEAD", "/status")
    assert (status, body) == (200, b"")
    assert int(headers["content-length"]) > 100


def test_openapi_names_every_route(server: Serving) -> None:
    from ovenbird_runtime.serve.routes import ROUTES

    _, document = server.json("GET", "/openapi.json")
    assert {(path, method.upper()) for path, ways in document["paths"].items() for method in ways} == {
        (route.path, route.method) for route in ROUTES
    }
    ids = [way["operationId"] for ways in document["paths"].values() for way in ways.values()]
    assert len(ids) == len(set(ids))


def test_page_loads_nothing_from_elsewhere(server: Serving) -> None:
    status, headers, body = server.request("GET", "/")
    assert status == 200
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in headers["content-security-policy"]
    for word in (b"http://", b"https://", b'src="//'):
        assert word not in body.replace(b"http://www.w3.org/2000/svg", b"")


def test_metrics_are_well_formed(server: Serving, jpeg: bytes) -> None:
    parser = pytest.importorskip("prometheus_client.parser")
    server.request("POST", "/v1/models/tiny:predict", jpeg)
    _, headers, body = server.request("GET", "/metrics")
    families = {family.name: family for family in parser.text_string_to_metric_families(body.decode())}
    for stage in ("decode", "preprocess", "queue", "compute", "postprocess"):
        assert families[f"ovenbird_{stage}_seconds"].type == "histogram"
    assert families["nv_inference_count"].samples
    assert families["process_resident_memory_bytes"].samples[0].value > 10e6
    assert headers["content-type"].startswith("text/plain; version=0.0.4")


def test_every_metric_of_the_reference_is_told(server: Serving, jpeg: bytes) -> None:
    server.request("POST", "/v1/models/tiny:predict", jpeg)
    text = server.request("GET", "/metrics")[2].decode()
    told = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    on_occasion = {PADDED_IMAGES, REJECTED, CANCELLED, EXPIRED, ENGINE_FAILURES, RELOADS}
    assert {name.name for name in ALL} - told <= {name.name for name in on_occasion}


def test_padding_is_counted(tmp_path: Path, jpeg: bytes) -> None:
    artifact = copy_tiny(tmp_path)
    retarget(artifact, lambda target: dataclasses.replace(target, entries=target.entries[1:]))  # batch 4 alone
    with Serving.start(artifact) as server:
        for count in (1, 2):
            assert server.request("POST", "/v1/models/tiny:predict", jpeg)[0] == 200
            assert server.metric("ovenbird_padded_images_total") == 3 * count
            assert server.metric("ovenbird_batch_images_sum") == count
            assert server.metric("ovenbird_images_total") == count


def test_request_leaves_a_line_in_the_log(server: Serving, jpeg: bytes) -> None:
    server.request("POST", "/v1/models/tiny:predict", jpeg, {"X-Request-Id": "log-me"})
    import time

    for _ in range(50):
        lines = [line for line in server.events("request") if line["request_id"] == "log-me"]
        if lines:
            break
        time.sleep(0.02)
    assert lines[0]["status"] == 200
    assert lines[0]["model"] == "tiny"
    assert lines[0]["stages_ms"]["compute"] > 0
