"""A thin front: pictures, boxes and pages here, the network at another server."""

from __future__ import annotations

import http.server
import io
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import ovenbird_runtime
from ovenbird_runtime.serve.backend import connect
from ovenbird_runtime.serve.errors import BackendFailed
from support.serving import Serving
from support.tiny_artifact import detector_artifact

URL = "/v1/models/toy-detector:predict"


@pytest.fixture(scope="module")
def photo() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (200, 100), (255, 255, 255)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def expected(photo: bytes) -> Any:
    with ovenbird_runtime.load(detector_artifact()) as model:
        return model.predict(photo, seed=0)[0].to_json()


def test_a_front_answers_what_the_server_behind_it_computes(tiny: Path, photo: bytes, expected: Any) -> None:
    with Serving.start(tiny, detector_artifact()) as behind:
        address = f"http://127.0.0.1:{behind.port}"
        with Serving.start(detector_artifact(), "--backend-url", address) as front:
            status, _, body = front.request("POST", f"{URL}?seed=0", photo)
            assert (status, json.loads(body)["predictions"]) == (200, [expected])
            status, many = front.json("GET", "/v2/models/toy-detector")
            assert (status, [spec["name"] for spec in many["inputs"]]) == (200, ["image"])
            behind.process.kill()
            behind.process.wait()
            status, _, body = front.request("POST", URL, photo)
            assert (status, json.loads(body)["type"]) == (502, "BackendFailed")
            assert "the server behind this one does not answer" in json.loads(body)["error"]
            assert str(behind.port) not in json.loads(body)["error"]


def test_no_server_behind_is_one_line() -> None:
    command = [sys.executable, "-m", "ovenbird_runtime", "serve", "--port", "0", str(detector_artifact())]
    for address, words in (
        ("http://127.0.0.1:1", "BackendFailed: the server behind this one does not answer"),
        (
            "file:///etc/passwd",
            "WrongOption: backend_url is 'file:///etc/passwd', expected an address like http://host",
        ),
    ):
        result = subprocess.run(
            [*command, "--backend-url", address], capture_output=True, text=True, timeout=60, check=False
        )
        assert result.returncode == 1
        assert words in result.stderr


class Behind(http.server.BaseHTTPRequestHandler):
    """A server that answers with JSON, of what stands in `answers` by path."""

    answers: dict[str, bytes]

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = self.answers.get(self.path)
        self.send_response(200 if body is not None else 500)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def behind() -> Iterator[tuple[str, dict[str, bytes]]]:
    answers = {"/base/v2": b'{"name": "plain", "extensions": []}'}
    handler = type("Answering", (Behind,), {"answers": answers})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/base", answers
        server.shutdown()
        thread.join()


def outputs_of(photo: bytes) -> list[dict[str, Any]]:
    """What the toy detector gives, as JSON of the protocol."""
    with ovenbird_runtime.load(detector_artifact()) as model:
        import numpy as np

        given = model.run({"image": np.ones((1, 3, 48, 64), np.float32)})
    kinds = {"float32": "FP32", "int32": "INT32"}
    return [
        {"name": name, "datatype": kinds[str(a.dtype)], "shape": list(a.shape), "data": a.ravel().tolist()}
        for name, a in given.items()
    ]


def test_a_server_without_raw_tensors_is_asked_in_json(
    behind: tuple[str, dict[str, bytes]], photo: bytes, expected: Any
) -> None:
    url, answers = behind
    outputs = outputs_of(photo)
    answers["/base/v2/models/toy-detector/infer"] = json.dumps({"outputs": outputs}).encode()
    with connect(detector_artifact(), url) as model:
        assert model.predict(photo, seed=0)[0].to_json() == expected


WRONG: list[tuple[Any, str]] = [
    ("half", "no JSON"),
    ([], "expected an object"),
    ({}, "gave no such output for boxes"),
    ({"outputs": 5}, "gave no such output for boxes"),
    ({"outputs": [5, {"name": [], "parameters": 5}]}, "gave no such output for boxes"),
    ({"shape": [1, 9, 4]}, r"gave 'FP32' \[1, 9, 4\] for boxes, expected FP32 \[1, 10, 4\]"),
    ({"datatype": "FP64"}, "gave 'FP64'"),
    ({"data": [1.0]}, "data of another size for boxes"),
    ({"data": ["x"] * 40}, "data of another size for boxes"),
    ({"data": "x" * 9_000_000}, "answered with more than"),
    (None, "answered with status 500"),
]


@pytest.mark.parametrize(("answer", "words"), WRONG, ids=[words for _, words in WRONG])
def test_wrong_answers_are_typed_errors(
    behind: tuple[str, dict[str, bytes]], photo: bytes, answer: Any, words: str
) -> None:
    url, answers = behind
    if isinstance(answer, dict) and answer and "outputs" not in answer:
        answer = {"outputs": [outputs_of(photo)[0] | answer]}
    if answer is not None:
        answers["/base/v2/models/toy-detector/infer"] = b"{" if answer == "half" else json.dumps(answer).encode()
    with connect(detector_artifact(), url) as model, pytest.raises(BackendFailed, match=words):
        model.predict(photo)


def test_an_address_is_plain() -> None:
    from ovenbird_runtime.errors import WrongOption

    for url in (
        "",
        "host:8000",
        "http://",
        "ftp://host",
        "http://user@host",
        "http://host?x=1",
        "http://h\r\nost",
        "http://h:99999",
    ):
        with pytest.raises(WrongOption, match="expected an address like http://host:8000"):
            connect(detector_artifact(), url)
