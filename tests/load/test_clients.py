"""Clients that are slow, idle, gone, or strange, and what the others notice of them."""

from __future__ import annotations

import contextlib
import http.client
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from support.serving import Serving
from support.tiny_artifact import tiny_artifact

pytestmark = [pytest.mark.load, pytest.mark.slow]
URL = "/v1/models/tiny:predict"
Report = Callable[..., None]


def times_of_a_healthy_client(server: Serving, jpeg: bytes, seconds: float) -> list[float]:
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    times = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.perf_counter()
        client.request("POST", URL, jpeg)
        response = client.getresponse()
        response.read()
        assert response.status == 200
        times.append((time.perf_counter() - start) * 1000)
        time.sleep(0.005)
    client.close()
    return sorted(times)


def p99(times: list[float]) -> float:
    return times[max(0, int(len(times) * 0.99) - 1)]


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
    limits = ("--header-seconds", "3", "--body-seconds", "4", "--no-access-log")
    head = b"POST /v1/models/tiny:predict HTTP/1.1\r\nHost: a\r\n"
    with Serving.start(tiny_artifact(), *limits) as server:
        times_of_a_healthy_client(server, jpeg, 0.5)
        before = p99(times_of_a_healthy_client(server, jpeg, 3))
        slow = head + b"Content-Length: 100000\r\n\r\n"
        with many(server, 200, b"GET / HTTP/1.1\r\nX: ") as headers, many(server, 200, slow) as bodies:
            stop = threading.Event()

            def drip() -> None:
                while not stop.wait(0.5):
                    for sock in (*headers, *bodies):
                        with contextlib.suppress(OSError):
                            sock.send(b"a")

            dripping = threading.Thread(target=drip)
            dripping.start()
            during = p99(times_of_a_healthy_client(server, jpeg, 3))
            time.sleep(4)
            stop.set()
            dripping.join()
            cut = sum(map(closed_by_server, (*headers, *bodies)))
        report(p99_ms_before=before, p99_ms_during=during, cut_off=cut, of=400)
        assert cut == 400
        assert during <= 2 * before + 5


def test_thousand_idle_connections(jpeg: bytes, report: Report) -> None:
    with Serving.start(tiny_artifact(), "--keep-alive-seconds", "60", "--header-seconds", "60") as server:
        times_of_a_healthy_client(server, jpeg, 0.5)
        memory, before = server.memory_kib(), p99(times_of_a_healthy_client(server, jpeg, 2))
        with many(server, 1000, b"") as sockets:
            time.sleep(0.5)
            during = p99(times_of_a_healthy_client(server, jpeg, 2))
            more = server.memory_kib() - memory
            assert server.metric("ovenbird_connections") >= 1000
            assert not any(map(closed_by_server, sockets[:20]))
        report(p99_ms_before=before, p99_ms_during=during, more_mib=more / 1024)
        assert during <= 2 * before + 5
        assert more < 30 * 1024


def test_thousand_disconnects(server: Serving, jpeg: bytes, report: Report) -> None:
    head = f"POST {URL} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
    random.seed(1)

    def leave(count: int) -> None:
        for _ in range(count):
            with server.connect() as sock:
                sock.sendall((head + jpeg)[: random.randrange(1, len(head) + len(jpeg) + 1)])
                time.sleep(random.choice((0, 0, 0.001)))

    leave(100)
    time.sleep(0.5)
    before = (server.threads(), server.descriptors(), server.memory_kib())
    leave(1000)
    time.sleep(1)
    after = (server.threads(), server.descriptors(), server.memory_kib())
    status, answer = server.json("GET", "/status")
    assert status == 200
    report(before=before, after=after, admitted=answer["models"][0]["admitted_images"])
    assert answer["models"][0]["admitted_images"] == answer["models"][0]["waiting_images"] == 0
    assert server.metric("ovenbird_buffered_bytes") == 0
    assert after[1] <= before[1] + 1
    assert after[2] < before[2] + 4096
    assert server.request("POST", URL, jpeg)[0] == 200


def test_ten_thousand_inputs_get_their_own_answers(server: Serving, report: Report) -> None:
    import ovenbird_runtime

    images = np.random.default_rng(3).standard_normal((10_000, 3, 32, 32)).astype(np.float32)
    with ovenbird_runtime.load(tiny_artifact()) as model:
        expected = np.concatenate([model.run({"image": images[i : i + 500]})["logits"] for i in range(0, 10_000, 500)])
    wrong: list[int] = []
    todo = iter(range(10_000))
    lock = threading.Lock()

    def work() -> None:
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        head = (
            b'{"inputs":[{"name":"image","datatype":"FP32","shape":[1,3,32,32],'
            b'"parameters":{"binary_data_size":12288}}],"outputs":[{"name":"logits","parameters":{"binary_data":true}}]}'
        )
        headers = {"Inference-Header-Content-Length": str(len(head)), "X-Request-Timeout-Ms": "30000"}
        while True:
            with lock:
                index = next(todo, None)
            if index is None:
                client.close()
                return
            client.request("POST", "/v2/models/tiny/infer", head + images[index].tobytes(), headers)
            response = client.getresponse()
            length = int(response.getheader("Inference-Header-Content-Length") or 0)
            answer = np.frombuffer(response.read()[length:], np.float32)
            if response.status != 200 or not np.allclose(answer, expected[index], rtol=1e-4, atol=1e-4):
                wrong.append(index)

    start = time.monotonic()
    threads = [threading.Thread(target=work) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report(seconds=time.monotonic() - start, wrong=len(wrong), batches=server.metric("ovenbird_batch_images_count"))
    assert wrong == []


def fuzzed(rng: random.Random, seed: bytes) -> bytes:
    data = bytearray(seed)
    for _ in range(rng.randrange(1, 8)):
        place = rng.randrange(len(data) + 1)
        kind = rng.randrange(4)
        if kind == 0 and data:
            data[place % len(data)] = rng.randrange(256)
        elif kind == 1:
            del data[place : place + rng.randrange(1, 200)]
        elif kind == 2:
            data[place:place] = rng.randbytes(rng.randrange(1, 20))
        else:
            data = data[: max(1, place)]
    return bytes(data)


ROUTES: dict[str, tuple[str, str]] = {
    "raw": (URL, "image/jpeg"),
    "form": (URL, "multipart/form-data; boundary=mark"),
    "json": (URL, "application/json"),
    "infer": ("/v2/models/tiny/infer", "application/json"),
    "binary": ("/v2/models/tiny/infer", "application/octet-stream"),
}


@pytest.mark.parametrize("kind", ROUTES)
def test_five_thousand_fuzzed_requests(server: Serving, jpeg: bytes, kind: str, report: Report) -> None:
    import base64
    import json

    rng = random.Random(kind)
    path, content_type = ROUTES[kind]
    head: dict[str, Any] = {"name": "image", "datatype": "FP32", "shape": [1, 3, 32, 32]}
    small = json.dumps({"inputs": [head | {"data": [0.5] * 3072}], "id": "1"}).encode()
    binary = json.dumps({"inputs": [head | {"parameters": {"binary_data_size": 12288}}]}).encode()
    seeds = {
        "raw": jpeg,
        "form": b'--mark\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
        + jpeg
        + b"\r\n--mark--",
        "json": json.dumps({"images": [base64.b64encode(jpeg).decode()], "top": 3}).encode(),
        "infer": small,
        "binary": binary + b"\0" * 12288,
    }
    extra = {"Inference-Header-Content-Length": str(len(binary))} if kind == "binary" else {}
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    statuses: dict[int, int] = {}
    for _ in range(5000):
        client.request("POST", path, fuzzed(rng, seeds[kind]), {"Content-Type": content_type} | extra)
        response = client.getresponse()
        response.read()
        statuses[response.status] = statuses.get(response.status, 0) + 1
    client.request("POST", path, seeds[kind], {"Content-Type": content_type} | extra)
    last = client.getresponse().status
    client.close()
    report(route=kind, statuses=statuses, next_good=last)
    assert all(status < 500 for status in statuses), statuses
    assert last == 200


def test_fuzzed_bytes_on_the_socket(server: Serving, jpeg: bytes, report: Report) -> None:
    rng = random.Random(9)
    good = b"POST /v2/models/tiny/infer?x=1 HTTP/1.1\r\nHost: a\r\nContent-Type: text/x\r\nContent-Length: 2\r\n\r\n{}"
    statuses: dict[str, int] = {}
    for _ in range(2000):
        with server.connect() as sock:
            sock.settimeout(0.05)
            sock.sendall(fuzzed(rng, good))
            sock.shutdown(socket.SHUT_WR)
            try:
                answer = sock.recv(4096)
            except (TimeoutError, ConnectionResetError):
                answer = b""
            found = answer[9:12].decode("latin-1")
            statuses[found] = statuses.get(found, 0) + 1
    report(statuses=statuses)
    assert not any(status.startswith("5") for status in statuses)
    assert server.request("POST", URL, jpeg)[0] == 200
