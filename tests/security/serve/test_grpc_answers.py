"""Answers over gRPC that are not read, sessions that are spoilt anywhere, and where the port is."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("h2")

from h2.settings import SettingCodes

from support.http2 import LIVE, Http2, framed
from support.serving import Serving

IMAGE = bytes(64 * 3 * 32 * 32 * 4)


def field(number: int, body: bytes) -> bytes:
    length, size = len(body), b""
    while length > 127:
        size, length = size + bytes([length & 0x7F | 0x80]), length >> 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + body


REQUEST = (
    field(1, b"tiny")
    + field(5, field(1, b"image") + field(2, b"FP32") + field(3, bytes([64, 3, 32, 32])))
    + field(7, IMAGE)
)


@pytest.fixture(scope="module")
def server(tiny: Path) -> Iterator[Serving]:
    with Serving.start(tiny, "--grpc-port", 0, "--write-seconds", 1) as one:
        yield one


@pytest.fixture(scope="module")
def port(server: Serving) -> int:
    return int(server.wait_for("listening_grpc")["port"])


def well(port: int, host: str = "127.0.0.1") -> bool:
    with Http2(port, host) as client:
        stream = client.open(LIVE)
        client.send(stream, framed(b""), end=True)
        return client.wait(stream).get("grpc-status") == "0"


def test_a_client_that_opens_no_window(server: Serving, port: int) -> None:
    with Http2(port) as client:
        client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 0})
        client.flush()
        stream = client.open()
        client.send(stream, framed(REQUEST), end=True)
        found = client.wait(stream, 20)
        assert found["grpc-status"] == "4"
        assert "--write-seconds" in found["grpc-message"]
    assert server.metric("ovenbird_admitted_images") == 0
    assert server.metric("ovenbird_buffered_bytes") == 0
    assert well(port)


def test_a_client_that_opens_its_window_a_little_at_a_time(port: int) -> None:
    with Http2(port) as client:
        client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 100})
        client.flush()
        stream = client.open()
        client.send(stream, framed(REQUEST), end=True)
        assert client.wait(stream, 30)["grpc-status"] == "0"
        assert len(client.data[stream]) > 64 * (5 + 8) * 4


def test_sessions_that_are_spoilt_anywhere(server: Serving, port: int) -> None:
    """A good session, some bytes of it changed, lost, doubled: each connection ends, and the server goes on."""
    with Http2(port) as client:
        sent: list[bytes] = []
        client.flush = lambda: sent.append(client.h2.data_to_send())  # type: ignore[method-assign]
        for path in (LIVE, "/inference.GRPCInferenceService/ServerMetadata"):
            stream = client.open(path)
            client.h2.send_data(stream, framed(b""), end_stream=True)
            client.flush()
        session = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]) + b"".join(sent)
    chance = random.Random(7)
    before = server.memory_kib()
    for _ in range(300):
        data = bytearray(session)
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(24, len(data))
            match chance.randrange(4):
                case 0:
                    data[place] = chance.randrange(256)
                case 1:
                    del data[place : place + chance.randint(1, 20)]
                case 2:
                    data[place:place] = data[place : place + chance.randint(1, 20)]
                case _:
                    data[place:place] = chance.randbytes(chance.randint(1, 20))
        with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
            sock.sendall(data)
            sock.settimeout(0.01)
            try:
                while sock.recv(65536):
                    pass
            except (TimeoutError, ConnectionResetError):
                pass
    end = time.monotonic() + 20
    while server.metric("ovenbird_connections") > 1 and time.monotonic() < end:
        time.sleep(0.1)
    assert server.metric("ovenbird_connections") == 1  # that of the question
    assert server.metric("ovenbird_buffered_bytes") == 0
    assert server.memory_kib() - before < 10 * 1024
    assert [line for line in server.lines if line["event"] in ("failure", "text")] == []
    assert well(port)


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_all_addresses_are_of_both_families(tiny: Path) -> None:
    with Serving.start(tiny, "--grpc-port", 0, "--host", "::") as server:
        port = int(server.wait_for("listening_grpc")["port"])
        assert well(port, "127.0.0.1")
        assert well(port, "::1")
        assert server.request("GET", "/v2/health/live")[0] == 200
