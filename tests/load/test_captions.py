"""Ten thousand captions of a tiny model, some of them cut off: all are right, and nothing grows."""

from __future__ import annotations

import http.client
import json
import os
import random
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import ovenbird_runtime
from support.captioner_artifact import captioner_artifact
from support.pictures import encoded
from support.serving import Serving

pytestmark = [pytest.mark.load, pytest.mark.slow]
CAPTIONS = int(os.environ.get("OVENBIRD_CAPTIONS", "10000"))
WARM, CALLERS = 1000, 12
PREDICT = "/v1/models/tiny_captioner:predict"
MOST_MIB = 8
"""More than after the first thousand, which an allocator may keep; a state that leaked at each caption is more."""


def ask_many(server: Serving, pictures: list[bytes], right: list[str], count: int, seed: int) -> int:
    """Ask for captions over one connection, and leave some streams in their middle; return how many were right."""
    draw, connection, found = random.Random(seed), http.client.HTTPConnection("127.0.0.1", server.port, timeout=60), 0
    for _ in range(count):
        place = draw.randrange(len(pictures))
        if draw.random() < 0.1:
            leave(server, pictures[place], draw)
        connection.request("POST", PREDICT, pictures[place])
        answer: Any = json.loads(connection.getresponse().read())
        found += answer["predictions"][0]["text"]["logits"]["text"] == right[place]
    connection.close()
    return found


def leave(server: Serving, picture: bytes, draw: random.Random) -> None:
    """Begin a stream, and close the connection somewhere in it."""
    head = f"POST {PREDICT}?stream=1 HTTP/1.1\r\nHost: x\r\nContent-Length: {len(picture)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        client.sendall(head.encode() + picture)
        if draw.random() < 0.7:
            client.recv(draw.randrange(1, 400))


@pytest.mark.timeout(CAPTIONS / 10 + 120)
def test_nothing_leaks_over_many_captions() -> None:
    pictures = [encoded("PNG", seed) for seed in range(8)]
    with ovenbird_runtime.load(captioner_artifact(), threads=1) as model:
        right = [model.predict(picture)[0].text or "" for picture in pictures]
    with Serving.start(captioner_artifact(), "--max-batch", "8", "--no-access-log", "--timeout-ms", "30000") as server:

        def ask(count: int, seed: int) -> int:
            with ThreadPoolExecutor(CALLERS) as threads:
                each = [(count + place) // CALLERS for place in range(CALLERS)]
                return sum(threads.map(lambda place: ask_many(server, pictures, right, each[place], seed + place),
                                       range(CALLERS)))  # fmt: skip

        assert ask(WARM, 0) == WARM
        before = np.array([server.threads(), server.descriptors(), server.memory_kib()])
        rest = CAPTIONS - WARM
        assert ask(rest, 1000) == rest
        more = np.array([server.threads(), server.descriptors(), server.memory_kib()]) - before
        print(f"{rest} captions: {more[0]} threads, {more[1]} descriptors, {more[2] / 1024:.1f} MiB more")
        assert more[0] <= 0
        assert more[1] <= 2
        assert more[2] < MOST_MIB * 1024
        status = server.json("GET", "/status")[1]["models"][0]
        assert (status["admitted_images"], status["waiting_images"]) == (0, 0)
