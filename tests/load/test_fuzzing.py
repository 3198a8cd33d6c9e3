"""Thousands of damaged requests: whatever comes back, it is no 5xx, and the next good request succeeds."""

from __future__ import annotations

import base64
import http.client
import json
import random
import socket
from typing import Any

import pytest

from support.reporting import Report
from support.serving import Serving

URL = "/v1/models/tiny:predict"
SOCKETS = 5000


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
    failed = sum(count for status, count in statuses.items() if status >= 500)
    report("fuzzing", requests=5000, routes=1, failed=failed, good=int(last == 200), statuses=f"{kind} {statuses}")
    assert all(status < 500 for status in statuses), statuses
    assert last == 200


def test_fuzzed_bytes_on_the_socket(server: Serving, jpeg: bytes, report: Report) -> None:
    rng = random.Random(9)
    good = b"POST /v2/models/tiny/infer?x=1 HTTP/1.1\r\nHost: a\r\nContent-Type: text/x\r\nContent-Length: 2\r\n\r\n{}"
    statuses: dict[str, int] = {}
    for _ in range(SOCKETS):
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
    last = server.request("POST", URL, jpeg)[0]
    failed = sum(count for status, count in statuses.items() if status.startswith("5"))
    summary = f"socket {statuses}"
    report("fuzzing", requests=SOCKETS, routes=1, failed=failed, good=int(last == 200), statuses=summary)
    assert failed == 0
    assert last == 200
