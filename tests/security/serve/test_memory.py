"""What clients make the server hold is counted, bounded, and given back: measured by the process's resident memory.

A server holds at most twice what it counts, whatever the size of the pieces that bodies come in.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from support.pictures import encoded
from support.serving import Serving
from support.tiny_artifact import tiny_artifact

HEAD = b"POST /v1/models/tiny:predict HTTP/1.1\r\nHost: a\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
MIB = 1 << 20
BASE_MIB = 6  # what the first requests of a kind cost once: code, arenas, buffers


@pytest.fixture
def patient() -> Iterator[Serving]:
    """A server whose deadlines are longer than these tests."""
    seconds = ("--header-seconds", "60", "--body-seconds", "60", "--write-seconds", "60", "--keep-alive-seconds", "60")
    with Serving.start(tiny_artifact(), *seconds, "--no-access-log") as server:
        assert server.request("POST", "/v1/models/tiny:predict", encoded())[0] == 200
        yield server


def settled(server: Serving) -> float:
    """Return what is counted once it stays the same: all that was sent has been read."""
    last, now = -1.0, counted(server)
    while now != last:
        time.sleep(0.3)
        last, now = now, counted(server)
    return now


def counted(server: Serving) -> float:
    return server.metric("ovenbird_buffered_bytes") / MIB


def resident(server: Serving) -> float:
    return server.memory_kib() / 1024


def chunks(size: int, total: int) -> bytes:
    return (b"%x\r\n" % size + b"a" * size + b"\r\n") * (total // size)


@contextlib.contextmanager
def sent(server: Serving, count: int, data: bytes) -> Iterator[list[socket.socket]]:
    """Send the same from many clients at once, and leave them open."""
    sockets = [server.connect() for _ in range(count)]
    threads = [threading.Thread(target=sock.sendall, args=(data,)) for sock in sockets]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        yield sockets
    finally:
        for sock in sockets:
            sock.close()


@pytest.mark.parametrize(
    ("count", "data", "least"),
    [
        (8, CHUNKED + chunks(2, MIB), 7.9),
        (8, CHUNKED + chunks(1, MIB // 2), 3.9),
        (200, CHUNKED + chunks(7, 100_000), 19),  # each is held in an array, not in memory of its own
        (8, CHUNKED + chunks(5000, 4 * MIB), 31),
        (8, CHUNKED + b"1;a=" + b"b" * 10_000 + b"\r\na\r\n" + chunks(3, MIB), 7.9),
        (8, HEAD + b"Content-Length: 5000000\r\n\r\n" + b"a" * 4_000_000, 30),
        (200, HEAD + b"".join(b"X%d: %s\r\n" % (i, b"a" * 250) for i in range(90)), 5),
        (200, HEAD + b"X: " + b"a" * 30_000, 4),
    ],
    ids=["2-byte chunks", "1-byte chunks", "many", "5000-byte chunks", "extension", "length", "headers", "one header"],
)
def test_what_is_held_is_what_is_counted(patient: Serving, count: int, data: bytes, least: float) -> None:
    before = resident(patient)
    with sent(patient, count, data):
        held = settled(patient)
        more = resident(patient) - before
        assert held >= least
        assert more <= 2 * held + BASE_MIB
    assert settled(patient) == 0


def test_whole_bodies_are_given_back(patient: Serving) -> None:
    before = resident(patient)
    with sent(patient, 8, CHUNKED + chunks(16, 4 * MIB)) as sockets:
        held = settled(patient)
        patient.forget_peak()
        for sock in sockets:
            sock.sendall(b"0\r\n\r\n")
        for sock in sockets:
            assert sock.recv(1000).startswith(b"HTTP/1.1 400")
        assert patient.peak_kib() / 1024 - before <= 2 * held + BASE_MIB
    assert counted(patient) == 0


def test_refused_bodies_are_given_back(patient: Serving) -> None:
    """An error that keeps the frames it came through keeps a request's memory, until Python looks for cycles."""

    def refuse(count: int) -> float:
        for _ in range(count):
            assert patient.request("POST", "/v1/models/tiny:predict", b"a" * 8_000_000)[0] == 400
        return resident(patient)

    before = refuse(4)
    assert refuse(12) - before <= 2 * 8 + BASE_MIB


def answers(server: Serving, data: bytes) -> bytes:
    with server.connect() as sock:
        with contextlib.suppress(OSError):
            sock.sendall(data)
        return sock.recv(1000)


@pytest.fixture(scope="module")
def small() -> Iterator[Serving]:
    options = ("--max-buffered-bytes", "1000000", "--body-seconds", "60", "--write-seconds", "60")
    with Serving.start(tiny_artifact(), *options) as server:
        yield server


def full(answer: bytes) -> bool:
    return answer.startswith(b"HTTP/1.1 503") and b"--max-buffered-bytes" in answer and b"Retry-After" in answer


def by_length(size: int) -> bytes:
    return HEAD + b"Content-Length: 900000\r\n\r\n" + b"a" * size


@pytest.mark.parametrize(
    "opening",
    [by_length, lambda size: CHUNKED + chunks(2, size), lambda size: CHUNKED + chunks(50_000, size)],
    ids=["length", "2-byte chunks", "50000-byte chunks"],
)
def test_the_limit_is_of_all_clients_together(small: Serving, opening: Callable[[int], bytes]) -> None:
    with sent(small, 3, opening(300_000)):
        assert 0.8 < settled(small) < 1
        assert full(answers(small, by_length(200_000)))
        assert full(answers(small, CHUNKED + chunks(2, 200_000)))
        assert small.json("GET", "/v2/health/live")[0] == 200
    assert settled(small) == 0
    assert small.request("POST", "/v1/models/tiny:predict", encoded())[0] == 200


def test_what_is_unpacked_counts(small: Serving) -> None:
    packed = gzip.compress(encoded() + bytes(2_000_000))
    assert len(packed) < 100_000
    status, _, body = small.request("POST", "/v1/models/tiny:predict", packed, {"Content-Encoding": "gzip"})
    assert (status, json.loads(body)["type"]) == (503, "ServerFull")
    assert counted(small) == 0


def test_tensors_made_of_json_count(small: Serving) -> None:
    shape = [90, 3, 32, 32]  # 1.1 MB of float32 in 0.55 MB of text
    data = "0," * (90 * 3 * 32 * 32 - 1) + "0"
    text = f'{{"inputs":[{{"name":"image","datatype":"FP32","shape":{shape},"data":[{data}]}}]}}'
    status, _, body = small.request("POST", "/v2/models/tiny/infer", text.encode())
    assert (status, json.loads(body)["type"]) == (503, "ServerFull")
    assert counted(small) == 0


def test_answers_that_are_not_read_count(patient: Serving) -> None:
    """One answer a client, however many requests it has sent before it reads."""
    requests = b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 16
    before = resident(patient)
    sockets = []
    for _ in range(100):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        sock.connect(("127.0.0.1", patient.port))
        sock.sendall(requests)
        sockets.append(sock)
    held = settled(patient)
    assert resident(patient) - before <= 2 * held + BASE_MIB
    for sock in sockets:
        sock.close()
    assert settled(patient) == 0


@pytest.mark.alone
def test_liveness_while_bodies_come_in_two_byte_chunks(patient: Serving) -> None:
    """A generous bound: this machine runs the senders too. A server that parses all it can read takes a second."""
    times: list[float] = []
    data = CHUNKED + chunks(2, MIB)
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            start = time.monotonic()
            assert patient.json("GET", "/v2/health/live")[0] == 200
            times.append(time.monotonic() - start)
            time.sleep(0.005)

    looking = threading.Thread(target=look)
    looking.start()
    with sent(patient, 8, data):
        settled(patient)
        done.set()
        looking.join()
    assert sorted(times)[int(len(times) * 0.9)] < 0.25
