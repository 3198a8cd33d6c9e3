"""Clients that are slow or idle by the hundred, and what a healthy one, in a process of its own, notices of them."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from ovenbird_runtime.limits import SERVE_BODY_SECONDS, SERVE_HEADER_SECONDS
from ovenbird_runtime.load_test.figures import percentile
from support.observer import observing
from support.reporting import Report
from support.serving import Serving
from support.tiny_artifact import tiny_artifact

pytestmark = [pytest.mark.load, pytest.mark.slow]
URL = "/v1/models/tiny:predict"
PER_SECOND = 60


@contextlib.contextmanager
def healthy(server: Serving, jpeg: bytes, times: list[float]) -> Iterator[None]:
    """Let a healthy client ask while the block runs; add its times in ms."""
    with observing(server.port, URL, jpeg, PER_SECOND, threads=1) as seen:
        yield
    assert {status for _, status, _ in seen.answers} == {200}
    times += seen.times({200})


def ask_alone(server: Serving, jpeg: bytes, seconds: float, times: list[float]) -> None:
    with healthy(server, jpeg, []):
        time.sleep(1)  # warm
    with healthy(server, jpeg, times):
        time.sleep(seconds)


def compared(alone: list[float], during: list[float]) -> dict[str, float]:
    """Return the p99 of both and their ratio; `alone` is half before and half after, as the machine's speed drifts."""
    before, then = (percentile(sorted(times), 0.99) for times in (alone, during))
    return {"before_ms": before, "during_ms": then, "ratio": then / before}


@contextlib.contextmanager
def many(server: Serving, count: int, opening: bytes) -> Iterator[list[socket.socket]]:
    sockets = []
    try:
        for _ in range(count):
            sock = server.connect()
            sock.sendall(opening)
            sockets.append(sock)
        yield sockets
    finally:
        for sock in sockets:
            sock.close()


def closed_by_server(sock: socket.socket) -> bool:
    sock.settimeout(0.01)
    try:
        while sock.recv(4096):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def test_slow_headers_and_bodies(jpeg: bytes, report: Report) -> None:
    seconds = max(SERVE_HEADER_SECONDS, SERVE_BODY_SECONDS) + 2
    slow = b"POST /v1/models/tiny:predict HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
    alone, during = list[float](), list[float]()
    with Serving.start(tiny_artifact(), "--no-access-log") as server:
        ask_alone(server, jpeg, seconds / 2, alone)
        with (
            many(server, 200, b"GET / HTTP/1.1\r\nX: ") as headers,
            many(server, 200, slow) as bodies,
            healthy(server, jpeg, during),
        ):
            stop = threading.Event()

            def drip() -> None:
                while not stop.wait(0.5):
                    for sock in (*headers, *bodies):
                        with contextlib.suppress(OSError):
                            sock.send(b"a")

            dripping = threading.Thread(target=drip)
            dripping.start()
            time.sleep(seconds)
            stop.set()
            dripping.join()
            cut = sum(map(closed_by_server, (*headers, *bodies)))
        ask_alone(server, jpeg, seconds / 2, alone)
        figures = compared(alone, during)
        report("slow", cut=cut, of=400, **figures)
        assert cut == 400
        assert figures["ratio"] <= 2


def test_thousand_idle_connections_leave_the_server_answering(jpeg: bytes, report: Report) -> None:
    alone, during = list[float](), list[float]()
    with Serving.start(tiny_artifact(), "--keep-alive-seconds", "60", "--header-seconds", "60") as server:
        ask_alone(server, jpeg, 5, alone)
        memory = server.memory_kib()
        with many(server, 1000, b"") as sockets:
            with healthy(server, jpeg, during):
                time.sleep(10)
            more = (server.memory_kib() - memory) / 1024
            connections = int(server.metric("ovenbird_connections"))
            assert not any(map(closed_by_server, sockets))
        ask_alone(server, jpeg, 5, alone)
        figures = compared(alone, during)
        report("idle", connections=connections, more_mib=more, **figures)
        assert connections >= 1000
        assert figures["ratio"] <= 2
        assert more < 30
