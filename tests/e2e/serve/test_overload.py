"""Deadlines, a full queue, and clients that leave: what a server of the tiny network does about them."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from support.pictures import encoded
from support.serving import Serving

URL = "/v1/models/tiny:predict"


def test_full_queue_is_refused_with_a_hint(tiny: Path) -> None:
    large = encoded("PNG", size=(1500, 1200))
    with Serving.start(tiny, "--queue", 2, "--decoders", 1) as server:
        answers: list[tuple[int, dict[str, str], bytes, float]] = []

        def ask() -> None:
            start = time.monotonic()
            answers.append((*server.request("POST", URL, large), time.monotonic() - start))

        threads = [threading.Thread(target=ask) for _ in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        refused = [answer for answer in answers if answer[0] == 429]
        assert {answer[0] for answer in answers} == {200, 429}
        for _, headers, body, _ in refused:
            assert int(headers["retry-after"]) >= 1
            assert json.loads(body)["type"] == "QueueFull"
        assert server.metric("ovenbird_rejections_total") == len(refused)
        assert server.json("GET", "/status")[1]["models"][0]["admitted_images"] == 0


def test_more_images_than_the_queue_holds_is_the_client_s_fault(tiny: Path, jpeg: bytes) -> None:
    with Serving.start(tiny, "--queue", 2) as server:
        status, answer = server.json("POST", URL, {"images": [base64.b64encode(jpeg).decode()] * 3})
        assert status == 400
        assert "limit" in answer["error"] or "holds 2" in answer["error"]


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "soon", "9" * 30])
def test_wrong_timeout_is_refused(server: Serving, jpeg: bytes, value: str) -> None:
    status, _, body = server.request("POST", URL, jpeg, {"X-Request-Timeout-Ms": value})
    assert status == 400
    assert b"X-Request-Timeout-Ms" in body


def test_requests_that_expire_on_their_way_are_counted(server: Serving) -> None:
    before = server.metric("ovenbird_expired_total")
    status, _, body = server.request(
        "POST", URL, slow_request(), {"Content-Type": "application/json", "X-Request-Timeout-Ms": "200"}
    )
    assert status == 504
    assert json.loads(body)["type"] == "DeadlineExceeded"
    assert server.metric("ovenbird_expired_total") >= before + 1


def test_expired_requests_are_answered_by_504(server: Serving) -> None:
    large = encoded("PNG", size=(1500, 1200))
    status, _, body = server.request("POST", URL, large, {"X-Request-Timeout-Ms": "1"})
    assert status == 504
    assert json.loads(body)["type"] == "DeadlineExceeded"


def test_clients_that_leave_are_counted(server: Serving) -> None:
    before = server.metric("ovenbird_cancelled_total")
    slow = slow_request()
    kind = "Content-Type: application/json\r\nX-Request-Timeout-Ms: 60000"  # a busy machine is to be given time to look
    head = f"POST {URL} HTTP/1.1\r\nHost: a\r\n{kind}\r\nContent-Length: {len(slow)}\r\n\r\n".encode()
    for _ in range(3):
        with server.connect() as sock:
            sock.sendall(head + slow)
            wait_until(lambda: admitted(server) > 0)
        wait_until(lambda: admitted(server) == 0)
    wait_until(lambda: server.metric("ovenbird_cancelled_total") == before + 3)


def admitted(server: Serving) -> int:
    count = server.json("GET", "/status")[1]["models"][0]["admitted_images"]
    assert isinstance(count, int)
    return count


def slow_request() -> bytes:
    """Eight times a picture of 24 megapixels, small as a file: seconds of decoding between admission and answer."""
    file = io.BytesIO()
    Image.linear_gradient("L").resize((4900, 4900)).convert("RGB").save(file, "PNG")
    return json.dumps({"images": [base64.b64encode(file.getvalue()).decode()] * 8}).encode()


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "never came true"
        time.sleep(0.005)
