"""Every other route, and what is no route."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from ovenbird_runtime.serve.telemetry.metric_names import (
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


def test_health_is_answered(server: Serving) -> None:
    assert server.json("GET", "/v2/health/live") == (200, {"live": True})
    assert server.json("GET", "/v2/health/ready") == (200, {"ready": True, "state": "ready"})
    assert server.json("GET", "/v2/models/tiny/ready")[0] == 200
    assert server.json("GET", "/v2/models/tiny/versions/1/ready")[0] == 200


def test_metadata_names_inputs_and_outputs(server: Serving) -> None:
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
    from ovenbird_runtime.serve.routes.table import ROUTES

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


def test_every_metric_of_the_reference_is_exposed(server: Serving, jpeg: bytes) -> None:
    server.request("POST", "/v1/models/tiny:predict", jpeg)
    text = server.request("GET", "/metrics")[2].decode()
    names = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    on_occasion = {PADDED_IMAGES, REJECTED, CANCELLED, EXPIRED, ENGINE_FAILURES, RELOADS}
    assert {name.name for name in ALL} - names <= {name.name for name in on_occasion}


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


@pytest.mark.parametrize("given", ["me-1", "a" * 128, "0af7651916cd43dd:8448/eb=+._"])
def test_request_id_is_given_back(server: Serving, given: str) -> None:
    assert server.request("GET", "/v2", headers={"X-Request-Id": given})[1]["x-request-id"] == given


@pytest.mark.parametrize(
    "given", ["", "a" * 129, "a b", "<script>", 'a"b', "a\tb", "\xe9", "a,b", "a;b", "\x1b[31m", "{}"]
)
def test_request_id_that_logs_or_pages_might_trip_over(server: Serving, given: str) -> None:
    head = b"GET /v2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Request-Id: " + given.encode("latin-1")
    answer = server.raw(head + b"\r\n\r\n").partition(b"\r\n\r\n")[0].decode("latin-1")
    ids = [line.partition(": ")[2] for line in answer.split("\r\n") if line.startswith("X-Request-Id: ")]
    assert answer.startswith(("HTTP/1.1 200", "HTTP/1.1 400"))
    assert len(ids) == int(answer.startswith("HTTP/1.1 200"))
    assert all(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]+", made) for made in ids)


def test_options_names_the_methods_of_a_path(server: Serving) -> None:
    assert b"Allow: GET, HEAD, OPTIONS, POST\r\n" in server.raw(
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    )
    for path, allowed in (("/v2", "GET, HEAD, OPTIONS"), ("/v1/models/tiny:predict", "OPTIONS, POST")):
        status, headers, body = server.request("OPTIONS", path)
        assert (status, headers["allow"], headers["content-length"], body) == (200, allowed, "0", b"")
        assert "access-control-allow-origin" not in headers
    assert server.request("OPTIONS", "/nothing")[0] == 404
    assert server.request("DELETE", "/v2")[1]["allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize(
    "target", ["http://other.example/v2", "HTTP://a:80/v2", "https://[::1]:8000/v2?x", "http://a/v2#x"]
)
def test_targets_that_are_whole_urls(server: Serving, target: str) -> None:
    answer = server.raw(f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close, TE\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 200")
    assert b'"extensions"' in answer


@pytest.mark.parametrize(
    "accept", ["gzip;q=0", "gzip;q=0.0", "gzip; q=0.000", "gzip;Q=0", "*;q=0", "gzip;q=0, *", "identity", "br;q=1.0"]
)  # fmt: skip
def test_compression_that_is_forbidden(server: Serving, accept: str) -> None:
    coding = server.request("GET", "/openapi.json", headers={"Accept-Encoding": accept})[1].get("content-encoding")
    assert coding == ("deflate" if accept.endswith("*") else None)


@pytest.mark.parametrize("accept", ["gzip;q=0.001", "identity;q=0, *", "GZIP", "x-gzip", "*", "*;q=0, gzip;q=1"])
def test_compression_that_is_asked_for(server: Serving, accept: str) -> None:
    coding = server.request("GET", "/openapi.json", headers={"Accept-Encoding": accept})[1].get("content-encoding")
    assert coding == "gzip"


def test_identity_that_is_forbidden(server: Serving) -> None:
    _, headers, _ = server.request("GET", "/v2", headers={"Accept-Encoding": "gzip, identity;q=0"})
    assert headers["content-encoding"] == "gzip"
