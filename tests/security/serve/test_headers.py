"""Headers that a client chooses: ids that go into answers and logs, and fields that must not come twice."""

from __future__ import annotations

import json
import time

import pytest

from support.serving import Serving

GET = b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"


def logged_id(strict: Serving, given: bytes) -> tuple[str, str]:
    """The id in the answer, and in the log's line of that request."""
    answer = strict.raw(GET + b"X-Request-Id: " + given + b"\r\n\r\n")
    head = answer.partition(b"\r\n\r\n")[0].decode("latin-1")
    (chosen,) = [line.partition(": ")[2] for line in head.split("\r\n") if line.lower().startswith("x-request-id:")]
    end = time.monotonic() + 30
    while time.monotonic() < end:
        lines = [line for line in strict.events("request") if line["request_id"] == chosen]
        if lines:
            return chosen, json.dumps(lines)
        time.sleep(0.01)
    raise AssertionError(f"no line in the log has the id {chosen!r}")


@pytest.mark.parametrize("given", [b"me-1", b"0b9c1f2e-5d5a-4b0e-9d53-8f6f0c7a1b2c", b"a.b_c:9", b"x" * 64])
def test_a_plain_id_is_kept(strict: Serving, given: bytes) -> None:
    assert logged_id(strict, given)[0] == given.decode()


@pytest.mark.parametrize(
    "given",
    [
        b"two words", b'"><script>', b"a\tb", b"caf\xc3\xa9", b"\xff\xfe", b"a,b;c=d", b"${jndi}", b"x" * 10_000,
        b"'--", b"",
    ],
    ids=lambda given: repr(given[:12]),
)  # fmt: skip
def test_any_other_id_is_replaced_and_goes_nowhere(strict: Serving, given: bytes) -> None:
    chosen, line = logged_id(strict, given)
    assert chosen
    assert chosen.isascii()
    assert set(chosen) <= set("0123456789abcdefghijklmnopqrstuvwxyz-")
    if given:
        assert chosen.encode() != given
        assert given.decode("latin-1") not in line


@pytest.mark.parametrize(
    ("name", "one", "two"),
    [
        ("Host", "a", "b"),
        ("Content-Length", "2", "2"),
        ("Content-Type", "application/json", "image/jpeg"),
        ("Content-Encoding", "gzip", "identity"),
        ("Expect", "100-continue", "nothing"),
    ],
)
def test_what_decides_may_not_come_twice(strict: Serving, name: str, one: str, two: str) -> None:
    host = "" if name == "Host" else "Host: a\r\n"
    length = "" if name == "Content-Length" else "Content-Length: 2\r\n"
    head = f"POST /v1/models/tiny:predict HTTP/1.1\r\n{host}{length}{name}: {one}\r\n{name.lower()}: {two}\r\n\r\n{{}}"
    answer = strict.raw(head.encode())
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"Connection: close" in answer
