"""One remote procedure call: what its headers ask for, what has come of its messages, and how its status is written.

    rpc = Rpc(number, headers, limits)              # raises BadRequest, UnsupportedContent ...
    rpc.path, rpc.timeout, rpc.inbox

https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from urllib.parse import quote

from hpack import NeverIndexedHeaderTuple

from ...errors import shown
from ...limits import SERVE_GRPC_IDLE_SECONDS
from ..call import Call
from ..errors import NotOffered, Status, WrongMethod
from ..http.errors import BadRequest, HeadersTooLarge, UnsupportedContent
from ..http.settings import HttpLimits
from .framing import Inbox
from .guard import Encoded

Headers = list[tuple[str, str]]

# gRPC's codes, by the names that serve/errors.py has: doc/statuscodes.md
CODES = {
    "OK": 0,
    "CANCELLED": 1,
    "UNKNOWN": 2,
    "INVALID_ARGUMENT": 3,
    "DEADLINE_EXCEEDED": 4,
    "NOT_FOUND": 5,
    "RESOURCE_EXHAUSTED": 8,
    "UNIMPLEMENTED": 12,
    "INTERNAL": 13,
    "UNAVAILABLE": 14,
}
_SECONDS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_ENCODINGS = ("", "identity", "gzip", "deflate")
_REQUEST_HEADERS = (b":path", b":method", b"content-type", b"grpc-timeout", b"grpc-encoding", b"x-request-id")


class Method(NamedTuple):
    """What answers a path: `work(context, request, call)` gives a message; where it streams, requests and answers
    are asynchronous iterators, the answers of messages or of their bytes. `weigh(data, limit)` estimates how much work
    it is to `read(data)`, a request.
    """

    name: str
    work: Callable[..., Any]
    read: Callable[[Encoded], Any]
    weigh: Callable[[Encoded, int], int]
    streaming: bool


class Rpc:
    """A call, from its headers to its status."""

    __slots__ = (
        "answering", "call", "complete", "deadline", "encoding", "held", "inbox", "method", "number", "path",
        "patience", "request_id", "task", "timeout", "wake",
    )  # fmt: skip

    def __init__(self, number: int, headers: Iterable[tuple[bytes, bytes]], limits: HttpLimits) -> None:
        """Read the headers of stream `number`.

        Raises BadRequest, UnsupportedContent, HeadersTooLarge, NotOffered, WrongMethod.
        """
        self.number = number
        self.inbox = Inbox(limits.body_bytes)
        self.complete = self.answering = False  # has all of it come; were headers sent back
        self.held = 0  # bytes that count as in memory
        self.call = Call(time.monotonic(), "grpc", "grpc.none", "POST")
        self.method: Method | None = None
        self.task: asyncio.Task[None] | None = None
        self.wake = asyncio.Event()  # something came, or may be sent
        found, count = dict.fromkeys(_REQUEST_HEADERS, b""), 0
        for name, value in headers:
            count += 1
            if name in found:
                found[name] = value
        if count > limits.headers:
            raise HeadersTooLarge(f"{count} header fields, limit {limits.headers} (--max-headers)")
        path, method, kind, timeout, encoding, self.request_id = (value.decode("latin-1") for value in found.values())
        self.path = self.call.path = path
        self.encoding = encoding
        if not kind.lower().startswith("application/grpc") or kind.lower().startswith("application/grpc-web"):
            raise UnsupportedContent(f"content type {shown(kind)} is not read on this port: use application/grpc")
        if method != "POST":
            raise WrongMethod(f"{shown(method)} is not gRPC's method: use POST")
        if encoding not in _ENCODINGS:
            raise NotOffered(f"grpc-encoding {shown(encoding)} is not read here: use gzip, deflate or identity")
        self.timeout = _seconds(timeout)
        self.patience = limits.body_seconds if self.timeout is None else min(limits.body_seconds, self.timeout)
        self.deadline = self.call.started + self.patience  # for what is being read

    def feed(self, data: bytes, seconds: float) -> None:
        """Keep a piece of a message. Raises BodyTooLarge, BadRequest.

        Of a call that may send several, each has its own time, and there may be a pause between them.
        """
        begins = not self.inbox.unfinished
        self.inbox.feed(data)
        if self.method is not None and self.method.streaming:
            if not self.inbox.unfinished:
                self.patience = SERVE_GRPC_IDLE_SECONDS
            elif begins:
                self.patience = seconds
            else:
                return
            self.deadline = time.monotonic() + self.patience


def _seconds(timeout: str) -> float | None:
    """Read `grpc-timeout` ("100m"). Raises BadRequest."""
    if not timeout:
        return None
    digits, unit = timeout[:-1], timeout[-1]
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 8 and unit in _SECONDS):
        raise BadRequest(f"grpc-timeout is {shown(timeout)}, expected up to 8 digits and one of {' '.join(_SECONDS)}")
    return int(digits) * _SECONDS[unit]


def response_headers(request_id: str) -> Headers:
    """Return the headers before the first message."""
    accepted = ("grpc-accept-encoding", "identity,deflate,gzip")
    return [(":status", "200"), ("content-type", "application/grpc"), accepted, *_identity(request_id)]


def trailers(status: str, message: str = "") -> Headers:
    """Return what ends a call. Messages differ: they stay out of HPACK's table, which a client
    may make as large as it likes.
    """
    found: Headers = [("grpc-status", str(CODES[status]))]
    text = quote(message, safe=" !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~")
    return [*found, NeverIndexedHeaderTuple("grpc-message", text)] if message else found


def trailers_only(status: Status, message: str, request_id: str) -> Headers:
    """Return the headers of a call that ends without a message."""
    http = "415" if status.http == 415 else "200"
    first = [(":status", http), ("content-type", "application/grpc"), *_identity(request_id)]
    return [*first, *trailers(status.grpc, message)]


def _identity(request_id: str) -> Headers:
    return [NeverIndexedHeaderTuple("x-request-id", request_id)]


def parse(kind: Any, data: Encoded) -> Any:
    """Read a message of the class `kind`. Raises BadRequest."""
    from google.protobuf.message import DecodeError

    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise BadRequest(f"the message is not what the method takes: {error}") from None
