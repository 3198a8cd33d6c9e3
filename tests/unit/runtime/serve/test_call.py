"""The end of a request is written down once, and alike over HTTP and over gRPC."""

from __future__ import annotations

import asyncio
import io
import json
import time
from typing import Any, Literal

import pytest

from ovenbird_runtime.errors import EngineCallFailed
from ovenbird_runtime.serve.app import App
from ovenbird_runtime.serve.call import Call
from ovenbird_runtime.serve.context import Context
from ovenbird_runtime.serve.errors import QueueFull
from ovenbird_runtime.serve.http.account import PIECE_BYTES, Account
from ovenbird_runtime.serve.http.messages import Request
from ovenbird_runtime.serve.lifecycle import Lifecycle
from ovenbird_runtime.serve.models.slots import Slots
from ovenbird_runtime.serve.offload import Offload
from ovenbird_runtime.serve.settings import ServerLimits, Settings
from ovenbird_runtime.serve.telemetry.logs import Log
from ovenbird_runtime.serve.telemetry.metric_names import (
    CANCELLED,
    MODEL_REQUESTS,
    MODEL_SECONDS,
    REJECTED,
    REQUEST_SECONDS,
    REQUESTS,
)
from ovenbird_runtime.serve.telemetry.metrics import Metrics
from ovenbird_runtime.serve.telemetry.statistics import Statistics

Protocol = Literal["http", "grpc"]
PROTOCOLS: list[Protocol] = ["http", "grpc"]
ROUTE = {"http": "infer", "grpc": "grpc.ModelInfer"}


class Server:
    """A server's parts, and the lines of its log."""

    def __init__(self, **settings: Any) -> None:
        self.metrics, self._stream = Metrics(), io.StringIO()
        self._log = Log(self._stream)
        chosen = Settings((), **settings)
        slots, account = Slots(chosen, self.metrics, self._log), Account(chosen.limits)
        self.context = Context(chosen, self.metrics, self._log, slots, Offload(1), Lifecycle(self._log), account)

    def lines(self) -> list[dict[str, Any]]:
        self._log.close()
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]


def seconds_for(asked: float | None, usual: float, **limits: Any) -> float:
    context = Server(limits=ServerLimits(max_timeout_ms=60_000, **limits)).context
    context.slots.usual_seconds = usual
    return context.seconds_for(asked)


def call_of(protocol: Protocol, statistics: Statistics) -> Call:
    call = Call(time.monotonic(), protocol, ROUTE[protocol], "POST", "/there", "an-id", 17)
    call.model, call.statistics, call.images, call.batch = "tiny", statistics, 1, 8
    call.spent("queue", 0.5)
    return call


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_good_end_is_written_down_once(protocol: Protocol) -> None:
    server, statistics = Server(), Statistics()
    call_of(protocol, statistics).finish(server.context)
    metrics, route = server.metrics, ROUTE[protocol]
    status = {"http": "200", "grpc": "OK"}[protocol]
    assert metrics.value(REQUESTS, route, status) == 1
    assert metrics.value(REQUEST_SECONDS, route) == 1
    assert metrics.value(MODEL_REQUESTS, "tiny", "success") == 1
    assert metrics.value(MODEL_SECONDS, "tiny") == 1
    stages = statistics.to_json()["inference_stats"]
    assert (stages["success"]["count"], stages["fail"]["count"], stages["queue"]["ns"]) == (1, 0, 500_000_000)
    (line,) = server.lines()
    del line["time"], line["ms"]
    assert line == {
        "level": "info", "event": "request", "request_id": "an-id", "route": route, "method": "POST", "path": "/there",
        "status": {"http": 200, "grpc": "OK"}[protocol], "bytes_in": 17, "model": "tiny", "images": 1, "batch": 8,
        "stages_ms": {"queue": 500.0},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("error", "reason", "http", "grpc", "level"),
    [
        (QueueFull("9 images are waiting, limit 8 (--queue)"), "QueueFull", 429, "RESOURCE_EXHAUSTED", "info"),
        (EngineCallFailed("the engine failed"), "EngineCallFailed", 500, "INTERNAL", "warning"),
        (ZeroDivisionError("what we did not foresee"), "ServerError", 500, "INTERNAL", "warning"),
    ],
)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_bad_end_is_written_down_once(
    protocol: Protocol, error: Exception, reason: str, http: int, grpc: str, level: str
) -> None:
    server, statistics = Server(), Statistics()
    call_of(protocol, statistics).finish(server.context, error)
    status: int | str = http if protocol == "http" else grpc
    assert server.metrics.value(REQUESTS, ROUTE[protocol], str(status)) == 1
    assert server.metrics.value(REJECTED, reason) == 1
    assert server.metrics.value(MODEL_REQUESTS, "tiny", "failure") == 1
    assert statistics.to_json()["inference_stats"]["fail"]["count"] == 1
    *failures, line = server.lines()
    assert (line["event"], line["status"], line["level"], line["error"]) == (
        "request", status, level, type(error).__name__,
    )  # fmt: skip
    written = [(found["event"], found["request_id"], found["error"]) for found in failures]
    assert written == ([("failure", "an-id", str(error))] if level == "warning" else [])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_client_that_left_is_no_refusal(protocol: Protocol) -> None:
    server = Server()
    call_of(protocol, Statistics()).finish(server.context, asyncio.CancelledError())
    status: int | str = {"http": 499, "grpc": "CANCELLED"}[protocol]
    assert server.metrics.value(REQUESTS, ROUTE[protocol], str(status)) == 1
    assert server.metrics.value(CANCELLED, "parse") == 1
    assert server.metrics.value(REJECTED, "CancelledError") == server.metrics.value(REJECTED, "ServerError") == 0
    (line,) = server.lines()
    assert (line["status"], line["level"], "error" in line) == (status, "info", False)


def test_status_without_an_error_is_counted() -> None:
    server = Server(access_log=False)
    Call(time.monotonic(), route="ready").finish(server.context, status=503)
    assert server.metrics.value(REQUESTS, "ready", "503") == 1
    assert server.lines() == []


@pytest.mark.parametrize(("held", "status"), [(0, 200), (1_000_000, 503)])
def test_answer_that_finds_no_room_is_written_down_once(held: int, status: int) -> None:
    """As the refusal that its client gets, and no more as the answer that was made first."""
    server = Server(limits=ServerLimits(buffered_bytes=1_000_000))
    for number in range(2000):
        server.metrics.add(REQUESTS, 1, f"route-{number}", "200")
    server.context.account.held = held  # other clients', who do not read
    request = Request()
    request.method, request.target = "GET", b"/metrics"
    response = asyncio.run(App(server.context).handle(request))
    assert response.status == status
    assert (len(response.body) >= PIECE_BYTES) == (status == 200)
    assert {shown: server.metrics.value(REQUESTS, "metrics", shown) for shown in ("200", "503")} == {
        "200": int(status == 200), "503": int(status == 503),
    }  # fmt: skip
    assert server.metrics.value(REJECTED, "ServerFull") == int(status == 503)
    (line,) = server.lines()
    assert (line["status"], ("X-Request-Id", line["request_id"]) in response.headers) == (status, True)


@pytest.mark.parametrize(("asked", "seconds"), [(None, 2.0), (0.5, 0.5), (10.0, 10.0), (1e9, 60.0)])
def test_a_deadline_stays_within_what_may_be_asked_for(asked: float | None, seconds: float) -> None:
    assert seconds_for(asked, 2.0) == seconds


def test_slow_models_have_more_time_unless_the_operator_says_otherwise() -> None:
    assert seconds_for(None, 5.0) == 5.0
    assert seconds_for(None, 99.0) == 60.0
    assert seconds_for(None, 5.0, timeout_ms=300) == 0.3
    call = Call(0.0)
    call.allow(0.5, 100.0)
    assert call.deadline == 100.5
