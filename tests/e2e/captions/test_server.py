"""Sentences over HTTP: whole, streamed, many at once, cut off by deadlines and by clients that leave."""

from __future__ import annotations

import base64
import http.client
import io
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import ovenbird_runtime
from support.captioner_artifact import captioner_artifact
from support.serving import Serving

NAME = "tiny_captioner"
PREDICT = f"/v1/models/{NAME}:predict"


def picture(seed: int) -> bytes:
    """Return a picture of noise as a PNG file."""
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


PICTURE = base64.b64encode(picture(0)).decode()


@pytest.fixture(scope="module")
def right() -> list[str]:
    """The texts of the first pictures, as the runtime writes them for one after the other."""
    with ovenbird_runtime.load(captioner_artifact(), threads=1) as model:
        return [model.predict(picture(seed))[0].text or "" for seed in range(8)]


@pytest.fixture(scope="module")
def server() -> Iterator[Serving]:
    """A server of the tiny captioner, for eight sequences at a time."""
    with Serving.start(captioner_artifact(), "--max-batch", "8", "--timeout-ms", "30000") as started:
        yield started


def ask(server: Serving, path: str, body: bytes | dict[str, Any], **headers: str) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = {"Content-Type": "application/json"} if isinstance(body, dict) else {}
    status, _, answer = server.request("POST", path, data, kind | headers)
    return status, json.loads(answer)


def events(server: Serving, path: str, body: bytes) -> list[tuple[str, Any]]:
    """Return a stream's events: their names and values."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("POST", path, body)
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    assert answer.getheader("Transfer-Encoding") == "chunked"
    found = []
    for block in answer.read().decode().removesuffix("\n\n").split("\n\n"):
        name, _, data = block.rpartition("data: ")
        found.append((name.removeprefix("event: ").strip(), json.loads(data)))
    connection.request("GET", "/v2/health/ready")  # the connection goes on
    assert connection.getresponse().status == 200
    connection.close()
    return found


def in_flight(server: Serving) -> float:
    return float(
        server.request("GET", "/status")[0]
        and json.loads(server.request("GET", "/status")[2])["models"][0]["admitted_images"]
    )


def test_the_friendly_route_answers_sentences(server: Serving, right: list[str]) -> None:
    status, answer = ask(server, PREDICT, picture(0))
    (prediction,) = answer["predictions"]
    assert (status, prediction["text"]["logits"]["text"]) == (200, right[0])
    assert (answer["random_weights"], prediction["text"]["logits"]["finish"]) == (True, "length")
    images = [base64.b64encode(picture(seed)).decode() for seed in range(3)]
    status, answer = ask(server, PREDICT, {"images": [*images, "AAAA"], "max_tokens": 4})
    texts = [one["text"]["logits"] if "text" in one else one["type"] for one in answer["predictions"]]
    assert texts[3] == "ImageUnreadable"
    assert [right[seed].startswith(texts[seed]["text"][:4]) for seed in range(3)] == [True] * 3
    assert [len(one["tokens"]) for one in texts[:3]] == [5] * 3


def test_many_at_once_are_each_what_one_is(server: Serving, right: list[str]) -> None:
    def one(place: int) -> str:
        status, answer = ask(server, PREDICT, picture(place % 8))
        assert status == 200
        text: str = answer["predictions"][0]["text"]["logits"]["text"]
        return text

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(one, range(64)))
    assert found == [right[place % 8] for place in range(64)]
    stats = json.loads(server.request("GET", f"/v2/models/{NAME}/stats")[2])["model_stats"][0]
    assert max(batch["batch_size"] for batch in stats["batch_stats"]) > 1


def test_a_text_comes_as_it_is_written(server: Serving, right: list[str]) -> None:
    *parts, (name, whole) = events(server, f"{PREDICT}?stream=true", picture(1))
    assert name == "done"
    text = whole["predictions"][0]["text"]["logits"]
    assert text["text"] == right[1]
    tokens = [token for _, part in parts for token in part["tokens"]]
    assert tokens == text["tokens"][1 : 1 + len(tokens)]
    assert len(parts) > 5
    assert [name for name, _ in parts] == [""] * len(parts)


def test_v2_generates_as_triton_does(server: Serving, right: list[str]) -> None:
    body = {"id": "7", "text_input": "", "image": base64.b64encode(picture(2)).decode(), "parameters": {}}
    assert "generate" in json.loads(server.request("GET", "/v2")[2])["extensions"]
    status, answer = ask(server, f"/v2/models/{NAME}/generate", body)
    assert (status, answer) == (200, {"id": "7", "model_name": NAME, "model_version": "1", "text_output": right[2]})
    found = events(server, f"/v2/models/{NAME}/versions/1/generate_stream", json.dumps(body).encode())
    assert "".join(part["text_output"] for _, part in found) == right[2]
    status, answer = ask(server, f"/v2/models/{NAME}/generate", body | {"text_input": "w3 w5"})
    assert answer["text_output"].startswith("w3 w5")
    metadata = json.loads(server.request("GET", f"/v2/models/{NAME}")[2])
    assert [one["name"] for one in metadata["inputs"]] == ["picture"]
    assert metadata["outputs"] == [{"name": "text_output", "datatype": "BYTES", "shape": [-1]}]
    assert server.request("GET", f"/v2/models/{NAME}/config")[0] == 200


@pytest.mark.parametrize(
    ("path", "body", "status", "kind"),
    [
        (PREDICT, b"no picture", 400, "ImageUnreadable"),
        (f"{PREDICT}?stream=true", b"no picture", 400, "ImageUnreadable"),
        (f"{PREDICT}?beams=5", picture(0), 400, "WrongOption"),
        (f"{PREDICT}?max_tokens=0", picture(0), 400, "WrongOption"),
        (f"{PREDICT}?prompt={'w1+' * 20}", picture(0), 400, "WrongOption"),
        (f"{PREDICT}?prompt={'w' * 5000}", picture(0), 400, "WrongOption"),
        (f"{PREDICT}?max_tokens=-3", picture(0), 400, "WrongOption"),
        (f"{PREDICT}?max_tokens=99999999", picture(0), 400, "WrongOption"),
        (f"/v2/models/{NAME}/generate", {"image": PICTURE, "text_input": "w1 " * 3000}, 400, "WrongOption"),
        (f"/v2/models/{NAME}/generate_stream", {"image": PICTURE, "text_input": "w1 " * 20}, 400, "WrongOption"),
        (f"/v2/models/{NAME}/generate", {"image": PICTURE, "parameters": {"max_tokens": 0}}, 400, "WrongOption"),
        (f"{PREDICT}?score=0.5", picture(0), 400, "WrongOption"),
        (f"/v2/models/{NAME}/infer", {"inputs": []}, 501, "NotOffered"),
        (f"/v2/models/{NAME}/generate", {"text_input": ""}, 400, "MissingImage"),
        (f"/v2/models/{NAME}/generate", {"image": "AAAA", "parameters": {"heat": 1}}, 400, "BadRequest"),
        (f"/v2/models/{NAME}/generate", {"image": 3}, 400, "BadRequest"),
        (f"/v2/models/{NAME}/generate", {"image": "AAAA", "more": 1}, 400, "BadRequest"),
    ],
)
def test_what_cannot_be_answered_is_refused(
    server: Serving, path: str, body: bytes | dict[str, Any], status: int, kind: str
) -> None:
    found, answer = ask(server, path, body)
    assert (found, answer["type"]) == (status, kind)


def test_a_deadline_ends_a_text(server: Serving) -> None:
    status, answer = ask(server, PREDICT, picture(0), **{"X-Request-Timeout-Ms": "1"})
    assert (status, answer["type"]) == (504, "DeadlineExceeded")
    assert settled(server)


def test_clients_that_leave_free_their_room(server: Serving, right: list[str]) -> None:
    """Streams are cut off at any byte; what they held is let go, and others are answered as before."""
    for place in range(24):
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
            body = picture(place % 8)
            head = f"POST {PREDICT}?stream=1 HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
            client.sendall(head.encode() + body)
            if place % 3:
                client.recv(1 + place * 10)
    assert settled(server)
    _, answer = ask(server, PREDICT, picture(3))
    assert answer["predictions"][0]["text"]["logits"]["text"] == right[3]


def settled(server: Serving) -> bool:
    """Wait until nothing is held any more."""
    for _ in range(300):
        if in_flight(server) == 0:
            return True
        time.sleep(0.1)
    return False


def test_an_old_client_reads_until_the_end(server: Serving, right: list[str]) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
        body = picture(4)
        client.sendall(f"POST {PREDICT}?stream=1 HTTP/1.0\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    head, _, events_ = answer.partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert right[4] in events_.decode()


def test_the_command_prints_the_sentence(right: list[str], tmp_path: Path) -> None:
    import subprocess
    import sys

    file = tmp_path / "photo.png"
    file.write_bytes(picture(5))
    command = [sys.executable, "-m", "ovenbird_runtime", "run", captioner_artifact(), file]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].strip() == right[5]
    assert "RANDOM WEIGHTS" in done.stderr
