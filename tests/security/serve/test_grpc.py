"""What strangers may do on the gRPC port: unfinished messages, slow ones, floods, and HTTP/2 that is none."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("h2")

from support.http2 import LIVE, Http2, framed
from support.liveness import Liveness
from support.serving import Serving

MB = 1 << 20
# The client's SETTINGS, empty, after its preface.
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


@pytest.fixture(scope="module")
def server(tiny: Path) -> Iterator[Serving]:
    with Serving.start(tiny, "--grpc-port", 0, "--body-seconds", 2, "--header-seconds", 1, "--write-seconds", 2) as one:
        yield one


@pytest.fixture(scope="module")
def port(server: Serving) -> int:
    return port_of(server)


def port_of(server: Serving) -> int:
    return int(server.wait_for("listening_grpc")["port"])


def answers(port: int) -> bool:
    with Http2(port) as client:
        stream = client.open(LIVE)
        client.send(stream, framed(b""), end=True)
        return client.wait(stream).get("grpc-status") == "0"


@pytest.mark.parametrize("connections", [pytest.param(1, marks=pytest.mark.slow), 30])
def test_unfinished_messages_are_counted_and_let_go(tiny: Path, connections: int) -> None:
    """30 messages of 10 MB without their last bytes: what is counted is what they take, and it ends by itself."""
    with Serving.start(tiny, "--grpc-port", 0, "--body-seconds", 20, "--max-buffered-bytes", 400 * MB) as server:
        port, before = port_of(server), server.memory_kib()
        with Liveness(server) as liveness:
            clients = [Http2(port) for _ in range(connections)]
            calls = [(client, client.open()) for client in (clients * 30)[:30]]
            for client, stream in calls:
                assert client.send(stream, framed(bytes(10 * MB - 8), 10 * MB)) == 10 * MB - 3
            counted = server.metric("ovenbird_buffered_bytes")
            grown = (server.memory_kib() - before) * 1024
        assert counted >= 30 * (10 * MB - 3)
        assert grown < 2 * counted
        assert liveness.asked > 1
        for client, stream in calls:
            assert client.wait(stream, 40)["grpc-status"] == "4"  # DEADLINE_EXCEEDED
            assert "--body-seconds" in client.headers[stream]["grpc-message"]
        assert server.metric("ovenbird_buffered_bytes") == 0
        for client in clients:
            client.sock.close()


def test_the_whole_servers_bound_holds(tiny: Path) -> None:
    with (
        Serving.start(tiny, "--grpc-port", 0, "--max-buffered-bytes", 40 * MB) as server,
        Http2(port_of(server)) as one,
    ):
        before = server.memory_kib()
        streams = [one.open() for _ in range(30)]
        for stream in streams:
            one.send(stream, framed(bytes(10 * MB - 8), 10 * MB))
        refused = [one.headers[stream] for stream in streams if stream in one.ended]
        assert len(refused) >= 26
        assert {found["grpc-status"] for found in refused} == {"14"}  # UNAVAILABLE
        assert server.metric("ovenbird_buffered_bytes") <= 40 * MB
        assert (server.memory_kib() - before) * 1024 < 2 * 40 * MB


@pytest.mark.parametrize("piece", [pytest.param(1, marks=pytest.mark.slow), 100])
def test_small_frames_are_held_compactly_or_refused(tiny: Path, piece: int) -> None:
    with Serving.start(tiny, "--grpc-port", 0) as server, Http2(port_of(server)) as client:
        before = server.memory_kib()
        stream = client.open()
        sent = client.send(stream, framed(bytes(300_000), 10 * MB), piece=piece)
        counted, grown = server.metric("ovenbird_buffered_bytes"), (server.memory_kib() - before) * 1024
        assert grown < 2 * max(counted, sent) + 2 * MB
        assert answers(port_of(server))


def test_a_message_beyond_the_limit_is_refused_by_its_length(server: Serving, port: int) -> None:
    with Http2(port) as client:
        stream = client.open()
        client.send(stream, framed(b"x", 10 * MB + 1))
        found = client.wait(stream)
        assert found["grpc-status"] == "8"
        assert "--max-body-bytes" in found["grpc-message"]
        assert server.metric("ovenbird_buffered_bytes") == 0
        again = client.open(LIVE)  # the connection goes on
        client.send(again, framed(b""), end=True)
        assert client.wait(again)["grpc-status"] == "0"


def test_slow_message_is_ended_in_time(port: int) -> None:
    with Http2(port) as client:
        stream = client.open()
        client.send(stream, framed(b"", 100))
        start = time.monotonic()
        for _ in range(100):
            if stream in client.ended:
                break
            client.send(stream, b"x")
            client.receive(0.1)
        assert client.wait(stream)["grpc-status"] == "4"
        assert 1 < time.monotonic() - start < 8


def test_nothing_after_the_headers(port: int) -> None:
    with Http2(port) as client:
        assert client.wait(client.open())["grpc-status"] == "4"


@pytest.mark.alone
def test_a_clients_own_deadline_ends_a_slow_message(port: int) -> None:
    with Http2(port) as client:
        start = time.monotonic()
        stream = client.open(grpc_timeout="200m")
        assert client.wait(stream)["grpc-status"] == "4"
        assert time.monotonic() - start < 1.5


@pytest.mark.parametrize(
    "data",
    [
        b"",  # not even a preface
        HELLO[:30],  # half of a frame
        HELLO + bytes([0, 1, 0, 0, 0, 0, 0, 0, 1]) + b"x" * 10,  # half a DATA frame
        HELLO + bytes([0, 0, 1, 1, 0, 0, 0, 0, 1]) + b"\x82",  # HEADERS that never end
    ],
    ids=["nothing", "half a frame", "half of data", "open headers"],
)
def test_a_connection_that_stops_is_closed(server: Serving, port: int, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=15) as sock:
        sock.sendall(data)
        while sock.recv(65536):
            pass
    assert answers(port)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),  # TLS
        HELLO + bytes([0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0, 1]),  # a frame of 16 MB
        HELLO + bytes([0, 0, 4, 3, 0, 0, 0, 0, 9]) + bytes(4),  # RST_STREAM of a call that never was
        HELLO + bytes([0, 0, 5, 1, 5, 0, 0, 0, 1]) + b"\xff\xff\xff\xff\xff",  # no HPACK
        HELLO + bytes([0, 0, 4, 8, 0, 0, 0, 0, 0]) + bytes(4),  # WINDOW_UPDATE by 0
    ],
    ids=["http1", "tls", "huge frame", "unknown stream", "hpack", "window"],
)
def test_what_is_no_http2_is_closed_at_once(port: int, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=15) as sock:
        sock.sendall(data)
        start = time.monotonic()
        with contextlib.suppress(ConnectionResetError):
            while sock.recv(65536):
                pass
        assert time.monotonic() - start < 5
    assert answers(port)


def frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body


@pytest.mark.parametrize(
    "flood",
    [
        frame(6, 0, 0, bytes(8)),  # PING
        frame(4, 0, 0, b""),  # SETTINGS
        frame(2, 0, 1, bytes(5)),  # PRIORITY
        frame(0xFA, 0, 0, b""),  # of an unknown kind
    ],
    ids=["ping", "settings", "priority", "unknown"],
)
def test_floods_of_frames_that_carry_nothing(server: Serving, port: int, flood: bytes) -> None:
    before = server.memory_kib()
    with (
        Liveness(server) as liveness,
        socket.create_connection(("127.0.0.1", port), timeout=15) as sock,
        contextlib.suppress(ConnectionResetError, BrokenPipeError),
    ):
        sock.sendall(HELLO + flood * 200_000)
        while sock.recv(65536):
            pass
    assert liveness.asked
    assert server.memory_kib() - before < 20 * 1024
    assert answers(port)


def test_calls_that_are_cancelled_at_once(server: Serving, port: int) -> None:
    with Http2(port) as client:
        for _ in range(1000):
            client.reset(client.open())
            client.receive(0)
            if client.gone is not None:
                break
        client.wait_for_end(5)
        assert client.gone == 11  # ENHANCE_YOUR_CALM
    assert answers(port)
    assert server.metric("ovenbird_buffered_bytes") == 0


def test_a_header_block_that_unpacks_to_more_than_the_limit(port: int) -> None:
    """A name and value of 4 KB in the table, named by one byte each, a thousand times: 4 MB in 5 KB."""
    value = b"v" * 3900
    block = b"\x83\x86\x44\x01/\x40\x01n" + b"\x7f" + bytes([(len(value) - 127) & 0x7F | 0x80, (len(value) - 127) >> 7])
    block += value + b"\xbe" * 1000
    with socket.create_connection(("127.0.0.1", port), timeout=15) as sock:
        sock.sendall(HELLO + frame(1, 4, 1, block))
        while sock.recv(65536):
            pass
    assert answers(port)


def test_too_many_headers_are_refused(port: int) -> None:
    with Http2(port) as client:
        stream = client.open(LIVE, **{f"x-{i}": "1" for i in range(150)})
        found = client.wait(stream)
        assert found["grpc-status"] == "8"
        assert "--max-headers" in found["grpc-message"]


def test_more_calls_than_the_limit(tiny: Path) -> None:
    with Serving.start(tiny, "--grpc-port", 0, "--max-connections", 8) as server:
        with Http2(port_of(server)) as one, Http2(port_of(server)) as two:
            held = [one.open() for _ in range(6)] + [two.open() for _ in range(2)]
            found = two.wait(two.open())
            assert found["grpc-status"] == "14"
            assert "--max-connections" in found["grpc-message"]
            assert not set(held[:6]) & one.ended
        with Http2(port_of(server)) as client:
            stream = client.open(LIVE)
            client.send(stream, framed(b""), end=True)
            assert client.wait(stream)["grpc-status"] == "0"


def test_streams_that_last_for_ever_leave_room(tiny: Path) -> None:
    with Serving.start(tiny, "--grpc-port", 0, "--max-connections", 8) as server, Http2(port_of(server)) as client:
        watches = [client.open("/grpc.health.v1.Health/Watch") for _ in range(6)]
        for stream in watches:
            client.send(stream, framed(b""), end=True)
        refused = [client.wait(stream, 1) for stream in watches]
        assert [found.get("grpc-status") for found in refused] == [None, None, "14", "14", "14", "14"]
        assert answers(port_of(server))
        client.reset(watches[0])
        again = client.open("/grpc.health.v1.Health/Watch")
        client.send(again, framed(b""), end=True)
        assert "grpc-status" not in client.wait(again, 1)


def test_more_connections_than_the_limit(tiny: Path) -> None:
    with Serving.start(tiny, "--grpc-port", 0, "--max-connections", 4) as server:
        held = [Http2(port_of(server)) for _ in range(3)]
        extra = [Http2(port_of(server)) for _ in range(3)]
        assert sum(client.wait_for_end(2) for client in extra) >= 2
        for client in (*held, *extra):
            client.sock.close()
        assert answers(port_of(server))


def test_an_answer_that_is_not_read(server: Serving, port: int) -> None:
    """Pings without end, whose answers nobody reads: they stop being read, and the client is cut off."""
    with socket.create_connection(("127.0.0.1", port), timeout=15) as sock:
        sock.settimeout(0.2)
        sock.sendall(HELLO)
        end, cut_off = time.monotonic() + 15, False
        while time.monotonic() < end and not cut_off:
            try:
                sock.sendall(frame(6, 0, 0, bytes(8)) * 100)
            except TimeoutError:
                continue
            except (ConnectionResetError, BrokenPipeError):
                cut_off = True
        assert cut_off
    assert answers(port)


def test_a_clients_leaving_ends_its_work(server: Serving, port: int, tiny: Path) -> None:
    with Http2(port) as client:
        streams: list[Any] = [client.open() for _ in range(20)]
        for stream in streams:
            client.send(stream, framed(bytes(MB), 2 * MB))
        assert server.metric("ovenbird_buffered_bytes") >= 20 * MB
    end = time.monotonic() + 10
    while server.metric("ovenbird_buffered_bytes") and time.monotonic() < end:
        time.sleep(0.05)
    assert server.metric("ovenbird_buffered_bytes") == 0
    assert server.metric("ovenbird_admitted_images") == 0
