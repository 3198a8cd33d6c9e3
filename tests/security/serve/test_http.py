"""Bytes that are no honest HTTP: smuggling, floods, slowness. Sent by plain sockets, answered by a real server."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import pytest

from ovenbird_runtime.limits import SERVE_BODY_BYTES
from support.pictures import encoded
from support.reporting import Report
from support.serving import Serving
from support.tiny_artifact import tiny_artifact

POST = b"POST /v1/models/tiny:predict HTTP/1.1\r\nHost: a\r\n"
GOOD = b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n"


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def still_well(server: Serving) -> None:
    assert server.json("GET", "/v2/health/live")[0] == 200


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: 5\r\nContent-Length: 5\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: -5\r\n",
        b"Content-Length: 5,5\r\n",
        b"Content-Length: 0x5\r\n",
        b"Content-Length: 99999999999999999999999\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding: identity, chunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Transfer-Encoding: \x0bchunked\r\n",
        b"X: a\r\n Transfer-Encoding: chunked\r\n",
        b"Host: b\r\n",
        b"X: a\nContent-Length: 5\r\n",
        b"X\x00Y: a\r\n",
        b": nameless\r\n",
    ],
)
def test_smuggling_is_refused_and_the_connection_closed(strict: Serving, head: bytes, report: Report) -> None:
    hidden = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    answer = strict.raw(POST + head + b"\r\n" + hidden)
    refused = status_of(answer) == 400 and answer.count(b"HTTP/1.1 ") == 1
    report("smuggling", refused=int(refused), of=1)
    assert refused
    assert b"Connection: close" in answer
    assert b"smuggled" not in answer.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET /", b"GET / HTTP/1.1 x", b"CONNECT a:80 HTTP/1.1", b"\x16\x03\x01\x02", b"GET * HTTP/1.1",
        b"GET /\xff HTTP/1.1", b"BREW /pot HTTP/1.1", b"GET ftp://a/ HTTP/1.1", b"GET http:///v2 HTTP/1.1",
        b"GET http://user@a/v2 HTTP/1.1", b"GET //a/v2 HTTP/1.1",
    ],
)  # fmt: skip
def test_odd_request_lines_are_refused(strict: Serving, request_line: bytes) -> None:
    assert status_of(strict.raw(request_line + b"\r\nHost: a\r\n\r\n")) in (400, 404, 405)
    still_well(strict)


@pytest.mark.parametrize(
    "chunks",
    [
        b"5\nhello\r\n0\r\n\r\n",
        b"g\r\n",
        b"fffffffffffffffff\r\n",
        b"5\r\nhelloX",
        b'5;a="x\r\ny"\r\nhello\r\n0\r\n\r\n',
    ],
)
def test_damaged_chunks_are_refused(strict: Serving, chunks: bytes, report: Report) -> None:
    status = status_of(strict.raw(POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunks))
    report("smuggling", refused=int(status == 400), of=1)
    assert status == 400


def test_trailers_change_no_header(strict: Serving) -> None:
    body = b"5\r\nhello\r\n0\r\nContent-Type: application/json\r\nX-Request-Id: trailer\r\nConnection: close\r\n\r\n"
    answer = strict.raw(POST + b"Transfer-Encoding: chunked\r\n\r\n" + body, seconds=0.5)
    assert status_of(answer) == 400
    assert b"ImageUnreadable" in answer
    assert b"X-Request-Id: trailer" not in answer


@pytest.mark.parametrize("request_line", [b"GET / HTTP/2.0", b"GET / HTTP/3.0", b"PRI * HTTP/2.0"])
def test_other_versions_are_refused(strict: Serving, request_line: bytes) -> None:
    answer = strict.raw(request_line + b"\r\nHost: a\r\n\r\nSM\r\n\r\n")
    assert status_of(answer) in (400, 505)
    assert answer.count(b"HTTP/1.1 ") == 1
    still_well(strict)


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"deflate,chunked", b"GZIP, x-gzip ,\tchunked"])
def test_transfer_codings_that_are_not_read(strict: Serving, coding: bytes) -> None:
    answer = strict.raw(POST + b"Transfer-Encoding: " + coding + b"\r\n\r\n0\r\n\r\n")
    assert status_of(answer) == 501
    assert b"Connection: close" in answer


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Content-Length: 5\r\nContent-Length: 5\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    ],
)
@pytest.mark.parametrize("place", [0, 1])
def test_smuggling_behind_an_upgrade(strict: Serving, head: bytes, place: int) -> None:
    upgrade = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
    hidden = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    answer = strict.raw(POST + (upgrade + head, head + upgrade)[place] + b"\r\n" + hidden)
    assert status_of(answer) == 400
    assert answer.count(b"HTTP/1.1 ") == 1


def test_damaged_chunks_behind_an_upgrade(strict: Serving) -> None:
    head = b"Connection: Upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert status_of(strict.raw(POST + head + b"5\r\nhelloX")) == 400


@pytest.mark.parametrize("name", [b"websocket", b"WebSocket", b"h2c, websocket", b"websocket/13"])
def test_websocket_is_refused(strict: Serving, name: bytes) -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: " + name + b"\r\n"
    answer = strict.raw(head + b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    assert status_of(answer) == 400
    assert b"WebSocket is not spoken here" in answer


def test_pipelined_requests_are_answered_in_order(strict: Serving) -> None:
    data = b"".join(b"GET /v2/%d HTTP/1.1\r\nHost: a\r\n\r\n" % i for i in range(10))
    answer = strict.raw(data + b"GET /v2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert [b"/v2/%d:" % i in part for i, part in enumerate(answer.split(b"HTTP/1.1 ")[1:11])] == [True] * 10
    assert answer.count(b"HTTP/1.1 200") == 1


def test_too_many_pipelined_requests(strict: Serving) -> None:
    assert b"HTTP/1.1 400" in strict.raw(GOOD * 200)
    still_well(strict)


def test_garbage_behind_a_request_does_not_spoil_its_answer(strict: Serving) -> None:
    answer = strict.raw(GOOD + b"\x00\x01garbage\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.count(b"HTTP/1.1 400") == 1


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"X: " + b"a" * 40_000 + b"\r\n", 431),
        (b"".join(b"X%d: a\r\n" % i for i in range(150)), 431),
        (b"X: a\r\n" * 20_000, 431),
        (b"X: a\r\n" * 101, 431),
        (b"X-%d: a\r\nX: a\r\n" * 51, 431),
        (b"X: a\r\n" * 98, 200),
    ],
)
def test_header_floods_are_refused(strict: Serving, head: bytes, status: int) -> None:
    assert status_of(strict.raw(b"GET / HTTP/1.1\r\nHost: a\r\n" + head + b"\r\n")) == status


@pytest.mark.parametrize("unfinished", [b"GET /" + b"a" * 40_000, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 140_000])
def test_fields_without_an_end(strict: Serving, unfinished: bytes) -> None:
    with strict.connect() as sock:
        for start in range(0, len(unfinished), 5000):
            with contextlib.suppress(OSError):
                sock.sendall(unfinished[start : start + 5000])
        assert status_of(sock.recv(1000)) == 431


def chunked(body: bytes) -> bytes:
    return POST + b"Transfer-Encoding: chunked\r\n\r\n" + body


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"0\r\n" + b"X: a\r\n" * 99 + b"\r\n", 431),  # with those of the head: two more than a hundred
        (b"0\r\n" + b"X: a\r\n" * 90 + b"\r\n", 400),
        (b"0\r\nX: " + b"a" * 140_000, 431),
        (b"1;" + b"x" * 140_000, 431),
        (b"1;x\r\na\r\n" * 1000 + b"0\r\n\r\n", 400),
        ((b"1;" + b"x" * 1000 + b"\r\na\r\n") * 200, 413),
    ],
)
def test_floods_beside_a_body(strict: Serving, body: bytes, status: int) -> None:
    with strict.connect() as sock:
        with contextlib.suppress(OSError):
            sock.sendall(chunked(body))
        assert status_of(sock.recv(1000)) == status


def test_long_target_is_refused(strict: Serving) -> None:
    assert status_of(strict.raw(b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n")) == 431


def framed(body: bytes, chunked: bool) -> bytes:
    """Return headers and body, whole or in chunks of 50,000 bytes."""
    if not chunked:
        return b"Content-Length: %d\r\n\r\n" % len(body) + body
    pieces = [body[i : i + 50_000] for i in range(0, len(body), 50_000)]
    return (
        b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"
    )


@pytest.mark.parametrize("extra", [0, 1])
@pytest.mark.parametrize("chunked", [False, True])
def test_body_of_exactly_the_limit(strict: Serving, extra: int, chunked: bool, report: Report) -> None:
    answer = strict.raw(POST + framed(b"x" * (200_000 + extra), chunked), seconds=1)
    right = status_of(answer) == (413 if extra else 400) and (b"ImageUnreadable" in answer) is not bool(extra)
    report("exact-limit", right=int(right), of=1, mib=0.2)
    assert right


@pytest.fixture(scope="module")
def default() -> Iterator[Serving]:
    with Serving.start(tiny_artifact()) as server:
        yield server


@pytest.mark.parametrize("extra", [0, 1])
@pytest.mark.parametrize("chunked", [False, True])
def test_picture_of_exactly_the_default_limit(default: Serving, extra: int, chunked: bool, report: Report) -> None:
    jpeg = encoded()
    body = jpeg + bytes(SERVE_BODY_BYTES + extra - len(jpeg))  # what lies behind a picture's end does not count
    answer = default.raw(POST + framed(body, chunked), seconds=2)
    right = status_of(answer) == (413 if extra else 200)
    report("exact-limit", right=int(right), of=1, mib=len(body) / 2**20)
    assert right


def test_too_large_body_is_refused_before_it_is_sent(strict: Serving) -> None:
    answer = strict.raw(POST + b"Content-Length: 200001\r\nExpect: 100-continue\r\n\r\n")
    assert status_of(answer) == 413
    assert b"100 Continue" not in answer


def test_expect_continue_is_not_answered_to_http_1_0(strict: Serving) -> None:
    head = b"POST /v1/models/tiny:predict HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    answer = strict.raw(head + b"hello")
    assert status_of(answer) == 400
    assert b"100 Continue" not in answer


def test_expect_continue_behind_another_request(strict: Serving) -> None:
    with strict.connect() as sock:
        sock.sendall(GOOD + POST + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        found = b""
        while b"100 Continue" not in found:
            found += sock.recv(1000)
        assert found.startswith(b"HTTP/1.1 200")
        sock.sendall(b"hello")
        assert sock.recv(1000).startswith(b"HTTP/1.1 400")


def test_a_body_that_waits_is_asked_for(strict: Serving) -> None:
    with strict.connect() as sock:
        sock.sendall(POST + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 100")
        sock.sendall(b"hello")
        assert sock.recv(1000).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("ratio", [300, 1000])
def test_compressed_bomb_is_refused(strict: Serving, ratio: int) -> None:
    import gzip

    body = gzip.compress(b"\0" * 200 * ratio * 1000)
    status, _, _ = strict.request("POST", "/v1/models/tiny:predict", body[:200_000], {"Content-Encoding": "gzip"})
    assert status == 413


def slow(strict: Serving, opening: bytes) -> tuple[bytes, float]:
    """Send an opening, then a byte every 100 ms; return the answer and the seconds until the end."""
    start = time.monotonic()
    with strict.connect() as sock:
        sock.sendall(opening)
        sock.settimeout(0.1)
        found = b""
        while time.monotonic() - start < 8:
            try:
                chunk = sock.recv(65536)
                found += chunk
                if not chunk:
                    break
            except TimeoutError:
                with contextlib.suppress(OSError):
                    sock.send(b"a")
            except ConnectionResetError:
                break
        return found, time.monotonic() - start


@pytest.mark.alone
def test_slow_headers_are_cut_off(strict: Serving) -> None:
    answer, seconds = slow(strict, b"GET / HTTP/1.1\r\nHost: ")
    assert status_of(answer) == 408
    assert 0.9 < seconds < 5


@pytest.mark.alone
def test_slow_body_is_cut_off(strict: Serving) -> None:
    answer, seconds = slow(strict, POST + b"Content-Length: 1000\r\n\r\n")
    assert status_of(answer) == 408
    assert 1.4 < seconds < 5.5


def test_slow_chunks_are_cut_off(strict: Serving) -> None:
    answer, _ = slow(strict, POST + b"Transfer-Encoding: chunked\r\n\r\n3e8\r\n")
    assert status_of(answer) == 408


@pytest.mark.alone
def test_silent_and_idle_connections_are_closed(strict: Serving) -> None:
    start = time.monotonic()
    assert strict.raw(b"") == b""
    assert 0.8 < time.monotonic() - start < 3
    start = time.monotonic()
    assert strict.raw(GOOD).startswith(b"HTTP/1.1 200")
    assert 0.5 < time.monotonic() - start < 2.5


def test_connections_beyond_the_limit_are_answered_by_503(strict: Serving) -> None:
    sockets: list[socket.socket] = []
    try:
        answers = []
        for _ in range(320):
            sock = strict.connect()
            sock.settimeout(2)
            sockets.append(sock)
        for sock in sockets[305:]:
            with contextlib.suppress(OSError):
                answers.append(sock.recv(4096))
        assert any(answer.startswith(b"HTTP/1.1 503") and b"Retry-After" in answer for answer in answers)
    finally:
        for sock in sockets:
            sock.close()
    time.sleep(0.3)
    still_well(strict)


def test_client_that_does_not_read_is_no_burden(strict: Serving) -> None:
    with strict.connect() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 16)
        time.sleep(0.3)
        still_well(strict)
