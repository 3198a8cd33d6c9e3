"""A thousand clients that leave in the middle, and sixty-four that each want their own answers."""

from __future__ import annotations

import dataclasses
import http.client
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from support.reporting import Report
from support.serving import Serving
from support.tiny_artifact import copy_tiny, retarget, tiny_artifact

URL = "/v1/models/tiny:predict"


def test_thousand_disconnects_are_survived(server: Serving, jpeg: bytes, report: Report) -> None:
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
    report(
        "disconnects",
        disconnects=1000,
        permits=answer["models"][0]["admitted_images"],
        threads=after[0] - before[0],
        descriptors=after[1] - before[1],
        more_mib=(after[2] - before[2]) / 1024,
    )
    assert after[0] <= before[0]
    assert answer["models"][0]["admitted_images"] == answer["models"][0]["waiting_images"] == 0
    assert server.metric("ovenbird_buffered_bytes") == 0
    assert after[1] <= before[1] + 1
    assert after[2] < before[2] + 4096
    assert server.request("POST", URL, jpeg)[0] == 200


@pytest.fixture
def batching(tmp_path: Path) -> Iterator[Serving]:
    """A server that must batch: its network was compiled for four images alone."""
    artifact = copy_tiny(tmp_path)
    retarget(artifact, lambda target: dataclasses.replace(target, entries=target.entries[1:]))
    with Serving.start(artifact, "--threads", "1", "--no-access-log") as running:
        yield running


def test_ten_thousand_inputs_get_their_own_answers(batching: Serving, report: Report) -> None:
    import ovenbird_runtime

    images = np.random.default_rng(3).standard_normal((10_000, 3, 32, 32)).astype(np.float32)
    with ovenbird_runtime.load(tiny_artifact()) as model:
        expected = np.concatenate([model.run({"image": images[i : i + 500]})["logits"] for i in range(0, 10_000, 500)])
    assert len(np.unique(expected.round(2), axis=0)) == len(images)
    wrong: list[int] = []
    todo = iter(range(10_000))
    lock = threading.Lock()

    def work() -> None:
        client = http.client.HTTPConnection("127.0.0.1", batching.port, timeout=60)
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

    threads = [threading.Thread(target=work) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    batches = int(batching.metric("ovenbird_batch_images_count"))
    report("own-answers", wrong=len(wrong), of=len(images), batches=batches)
    assert wrong == []
    assert batches <= 0.9 * len(images)  # or nothing could have been mixed up
