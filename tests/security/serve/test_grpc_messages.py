"""gRPC messages that unpack to more than they weigh, are none, or ask for what is not there."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("h2")

from support.http2 import LIVE, Http2, framed
from support.liveness import Liveness
from support.serving import Serving

MB = 1 << 20


@pytest.fixture(scope="module")
def server(tiny: Path) -> Iterator[Serving]:
    with Serving.start(tiny, "--grpc-port", 0) as one:
        yield one


@pytest.fixture(scope="module")
def port(server: Serving) -> int:
    return int(server.wait_for("listening_grpc")["port"])


def packed(message: bytes) -> bytes:
    machine = zlib.compressobj(9, zlib.DEFLATED, 31)
    return machine.compress(message) + machine.flush()


def test_compressed_messages_are_refused_beyond_the_limit(port: int) -> None:
    with Http2(port) as client:
        bomb = client.open(grpc_encoding="gzip")
        client.send(bomb, framed(packed(bytes(50 * MB)), flag=1), end=True)
        found = client.wait(bomb)
        assert found["grpc-status"] == "8"
        assert "--max-body-bytes" in found["grpc-message"]
        good = client.open(LIVE, grpc_encoding="gzip")
        client.send(good, framed(packed(b""), flag=1), end=True)
        assert client.wait(good)["grpc-status"] == "0"
        for flag, encoding in ((1, "identity"), (1, "gzip"), (2, "identity")):
            bad = client.open(LIVE, grpc_encoding=encoding)
            client.send(bad, framed(b"none of it", flag=flag), end=True)
            assert client.wait(bad)["grpc-status"] == "3"
        other = client.wait(client.open(LIVE, grpc_encoding="br", end=True))
        assert other["grpc-status"] == "12"


def varint(value: int) -> bytes:
    found = b""
    while value > 127:
        found += bytes([value & 0x7F | 0x80])
        value >>= 7
    return found + bytes([value])


def field(number: int, body: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(body)) + body


def an_input(*fields: bytes, datatype: bytes = b"FP32") -> bytes:
    return field(1, b"tiny") + field(5, field(1, b"image") + field(2, datatype) + b"".join(fields))


HEAVY = {
    "inputs": field(5, b"") * (5 * MB - 10),  # of two bytes, 50 in memory
    "outputs": field(6, b"") * (5 * MB - 10),
    "parameters": field(4, b"") * (5 * MB - 10),
    "raw": field(7, b"") * (5 * MB - 10),
    "an input's parameters": an_input(field(4, b"") * (4 * MB)),
    "a shape": an_input(field(3, bytes(9 * MB))),
    "int64": an_input(field(5, field(3, bytes(9 * MB)))),
    "int64 that is asked for": an_input(field(3, varint(9 * MB)), field(5, field(3, bytes(9 * MB))), datatype=b"INT64"),
    "uint32": an_input(field(5, field(4, bytes(9 * MB)))),
    "texts": an_input(field(5, field(8, b"") * (4 * MB))),
    "floats one by one": an_input(field(5, (b"\x35" + bytes(4)) * MB)),
    "endless numbers": b"\xff" * MB,
    "cut": field(5, b"x" * 100)[:50] + bytes(MB),
    "groups in groups": b"\x0b" * MB,
    "unknown fields": (b"\xf8\x01\x01") * (3 * MB),
}


@pytest.mark.parametrize("name", HEAVY)
def test_messages_of_many_small_things(server: Serving, port: int, name: str) -> None:
    """Ten at once take no more than they weigh, twice, and nobody waits for them."""
    server.forget_peak()
    before = server.memory_kib()
    message = framed(HEAVY[name])
    with Liveness(server) as liveness, Http2(port) as client:
        streams = [client.open() for _ in range(10)]
        for stream in streams:
            client.send(stream, message[:-1])
        for stream in streams:
            client.send(stream, message[-1:], end=True)
        assert {client.wait(stream)["grpc-status"] for stream in streams} <= {"3", "5", "8"}
    assert liveness.asked
    assert (server.peak_kib() - before) * 1024 < 2 * 10 * len(message) + 20 * MB


@pytest.mark.parametrize(
    ("data", "says"),
    [(b"", "no whole message"), (framed(b"", 5), "no whole message"), (framed(b"") * 2, "more than one message")],
)
def test_a_call_of_no_message_or_of_two(port: int, data: bytes, says: str) -> None:
    with Http2(port) as client:
        stream = client.open(LIVE)
        client.send(stream, data, end=True)
        found = client.wait(stream)
        assert found["grpc-status"] == "3"
        assert says in found["grpc-message"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content_type": "application/json"}, "3"),
        ({"content_type": "application/grpc-web"}, "3"),
        ({"grpc_timeout": "soon"}, "3"),
        ({"grpc_timeout": "-1S"}, "3"),
        ({"grpc_timeout": "123456789S"}, "3"),
        ({":path": "/inference.GRPCInferenceService/Nothing"}, "12"),
        ({":path": "/"}, "12"),
        ({":path": "*"}, "12"),
        ({":method": "GET"}, "12"),
    ],
)
def test_headers_that_mean_nothing_here(port: int, headers: dict[str, str], status: str) -> None:
    with Http2(port) as client:
        found = client.wait(client.open(LIVE, end=True, **headers))
        assert found["grpc-status"] == status
        assert found[":status"] == ("415" if "content_type" in headers else "200")
