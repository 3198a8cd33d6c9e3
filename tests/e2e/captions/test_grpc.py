"""Texts over gRPC as they are written, with NVIDIA's own client."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import ovenbird_runtime
from support.captioner_artifact import captioner_artifact
from support.pictures import encoded
from support.serving import Serving

pytest.importorskip("h2")
triton = pytest.importorskip("tritonclient.grpc")
NAME = "tiny_captioner"


@pytest.fixture(scope="module")
def server() -> Iterator[Serving]:
    with Serving.start(captioner_artifact(), "--grpc-port", 0, "--timeout-ms", "30000") as started:
        yield started


@pytest.fixture(scope="module")
def right() -> list[str]:
    with ovenbird_runtime.load(captioner_artifact(), threads=1) as model:
        return [model.predict(encoded("PNG", seed))[0].text or "" for seed in range(4)]


def one(name: str, value: bytes) -> Any:
    tensor = triton.InferInput(name, [1], "BYTES")
    tensor.set_data_from_numpy(np.array([value], object))
    return tensor


def picture(seed: int) -> Any:
    return one("image", encoded("PNG", seed))


class Stream:
    """A call with its answers."""

    def __init__(self, server: Serving) -> None:
        self.found: queue.Queue[tuple[Any, Any]] = queue.Queue()
        self.client = triton.InferenceServerClient(f"127.0.0.1:{server.wait_for('listening_grpc')['port']}")
        self.client.start_stream(callback=lambda result, error: self.found.put((result, error)))

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.stop_stream()
        self.client.close()

    def ask(self, *inputs: Any, **options: Any) -> None:
        self.client.async_stream_infer(NAME, list(inputs), **options)

    def text(self) -> tuple[str, list[Any]]:
        """Return the next text, and its messages."""
        parts, messages = "", []
        while True:
            result, error = self.found.get(timeout=60)
            assert error is None, error
            message = result.get_response()
            messages.append(message)
            parts += result.as_numpy("text_output")[0].decode()
            if message.parameters["triton_final_response"].bool_param:
                return parts, messages

    def error(self) -> str:
        result, error = self.found.get(timeout=60)
        assert result is None or error is not None
        return str(error)


def test_a_text_comes_as_it_is_written(server: Serving, right: list[str]) -> None:
    with Stream(server) as stream:
        for seed in range(4):  # over one call, the next before the one before has ended
            stream.ask(picture(seed), request_id=f"r{seed}")
        for seed in range(4):
            text, messages = stream.text()
            assert text == right[seed]
            assert len(messages) > 4
            assert {(one.id, one.model_name) for one in messages} == {(f"r{seed}", NAME)}


def test_prompts_and_parameters_are_heeded(server: Serving, right: list[str]) -> None:
    with Stream(server) as stream:
        stream.ask(picture(0), one("text_input", b"w3 w5"))
        assert stream.text()[0].startswith("w3 w5")
        stream.ask(picture(0), parameters={"max_tokens": 3})
        text, messages = stream.text()
        assert right[0].startswith(text)
        assert len(messages) <= 4
        stream.ask(picture(0), parameters={"beams": 4})
        assert len(stream.text()[1]) == 1  # a beam search may choose otherwise in the end


def test_what_fails_is_reported_and_the_call_goes_on(server: Serving, right: list[str]) -> None:
    with Stream(server) as stream:
        stream.ask(one("image", b"no picture"))
        assert "is no image in a known format" in stream.error()
        stream.ask(picture(1), one("text_input", b"w1 " * 20))
        assert "shorten it" in stream.error()
        stream.ask(picture(1), parameters={"beams": 5})
        assert "beams is 5" in stream.error()
        stream.ask(picture(1))
        assert stream.text()[0] == right[1]


def test_what_is_no_request_ends_the_call(server: Serving) -> None:
    with Stream(server) as stream:
        stream.ask(one("text_input", b"w1"))
        assert "no image came" in stream.error()


def test_a_client_that_leaves_frees_its_room(server: Serving, right: list[str]) -> None:
    for _ in range(8):
        with Stream(server) as stream:
            stream.ask(picture(2))
            stream.found.get(timeout=60)
            stream.client.stop_stream(cancel_requests=True)
    with Stream(server) as stream:
        stream.ask(picture(2))
        assert stream.text()[0] == right[2]
    assert server.json("GET", "/status")[1]["models"][0]["admitted_images"] == 0
