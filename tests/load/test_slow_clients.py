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
def healthy(server: Serving, jpeg: bytes) -> Iterator[list[float]]:
    """Let a healthy client ask while the block runs; the list then holds its p99 in ms."""
    found: list[float] = []
    with observing(server.port, URL, jpeg, PER_SECOND, threads=1) as seen:
        yield found
    assert {status for _, status, _ in seen.answers} == {200}
    found.append(percentile(seen.times({200}), 0.99))


def p99_alone(server: Serving, jpeg: bytes, seconds: float) -> float:
    with healthy(server, jpeg):
        time.sleep(1)  # warm
    with healthy(server, jpeg) as found:
        time.sleep(seconds)
    return found[0]


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
    with Serving.start(tiny_artifact(), "--no-access-log") as server:
        before = p99_alone(server, jpeg, seconds)
        with (
            many(server, 200, b"GET / HTTP/1.1\r\nX: ") as headers,
            many(server, 200, slow) as bodies,
            healthy(server, jpeg) as found,
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
        during = found[0]
        report("slow", cut=cut, of=400, before_ms=before, during_ms=during, ratio=during / before)
        assert cut == 400
        assert during <= 2 * before


def test_thousand_idle_connections(jpeg: bytes, report: Report) -> None:
    with Serving.start(tiny_artifact(), "--keep-alive-seconds", "60", "--header-seconds", "60") as server:
        before = p99_alone(server, jpeg, 5)
        memory = server.memory_kib()
        with many(server, 1000, b"") as sockets:
            with healthy(server, jpeg) as found:
                time.sleep(5)
            more, during = (server.memory_kib() - memory) / 1024, found[0]
            connections = int(server.metric("ovenbird_connections"))
            assert not any(map(closed_by_server, sockets))
        report(
            "idle", connections=connections, before_ms=before, during_ms=during, ratio=during / before, more_mib=more
        )
        assert connections >= 1000
        assert during <= 2 * before
        assert more < 30
