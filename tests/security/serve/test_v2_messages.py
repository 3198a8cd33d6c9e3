"""Inference requests in JSON that would unpack to far more than they weigh."""

from __future__ import annotations

import threading

import pytest

from support.liveness import Liveness
from support.serving import Serving
from support.tiny_artifact import tiny_artifact

MB = 1 << 20
HEAD = b'{"inputs":[{"name":"image","datatype":"FP32","shape":[1,3,32,32],"data":['
TAIL = b"]}]}"
HEAVY = {
    "lists": HEAD + b"[]," * (2 * MB) + b"[]" + TAIL,
    "lists in the tensor": HEAD + b"[[[" + b"[]," * (2 * MB) + b"[]" + b"]]]" + TAIL,
    "objects": HEAD + b"{}," * (2 * MB) + b"{}" + TAIL,
    "numbers": HEAD + b"1," * (3 * MB) + b"1" + TAIL,
    "inputs": b'{"inputs":[' + b"{}," * (2 * MB) + b"{}]}",
    "outputs": b'{"inputs":[],"outputs":[' + b"{}," * (2 * MB) + b"{}]}",
    "parameters": b'{"inputs":[],"parameters":{' + b'"a":[],' * MB + b'"b":[]}}',
    "unknown": b'{"inputs":[],"more":[' + b"[]," * (2 * MB) + b"[]]}",
    "a shape": b'{"inputs":[{"name":"image","datatype":"FP32","data":[],"shape":[' + b"1," * (3 * MB) + b"1]}]}",
    "deep": b'{"inputs":' + b"[" * (3 * MB),
}


@pytest.mark.parametrize("name", HEAVY)
def test_ten_at_once_take_little_and_nobody_waits(name: str) -> None:
    message = HEAVY[name]
    with Serving.start(tiny_artifact()) as server:
        before, found = server.memory_kib(), list[int]()
        server.forget_peak()

        def ask() -> None:
            found.append(server.request("POST", "/v2/models/tiny/infer", message)[0])

        threads = [threading.Thread(target=ask) for _ in range(10)]
        with Liveness(server) as liveness:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert found == [400] * 10
        assert liveness.asked
        assert (server.peak_kib() - before) * 1024 < 2 * 10 * len(message) + 20 * MB
