"""A request as it came, and a response as it goes.

request.query["top"], request.header("content-type"), request.body
Response.json({"ready": True}); Response(200, b"...", "image/png")
"""

from __future__ import annotations

import codecs
import email.utils
import re
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote

import msgspec

from .body import Bytes
from .errors import BadRequest

REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
}

# Scheme and authority; a user in it is an error (RFC 9110 4.2.4).
_ABSOLUTE = re.compile(r"https?://[^/?#@]+(?=[/?#]|$)", re.IGNORECASE)
_encode = msgspec.json.Encoder(enc_hook=str).encode


class Request:
    """One request, complete with its body. Times are of `time.monotonic`."""

    __slots__ = (
        "_query", "body", "has_body", "head_bytes", "headers", "holder", "keep_alive", "method", "more_bytes",
        "path", "raw_query", "received", "segments", "started", "target", "version", "wire_bytes",
    )  # fmt: skip

    def __init__(self) -> None:
        """Begin with nothing; the connection fills it in."""
        self.method, self.target, self.path, self.raw_query, self.version = "", b"", "", "", "1.1"
        self.segments: tuple[str, ...] = ()
        self.headers: dict[str, str] = {}
        self.body: Bytes = b""
        self.wire_bytes = self.head_bytes = self.more_bytes = 0
        self.keep_alive, self.has_body = True, False
        self.started = self.received = time.monotonic()
        self.holder: Callable[[Request, int], None] | None = None
        self._query: dict[str, str] | None = None

    def header(self, name: str) -> str:
        """Return a header by its name in small letters; empty where it was not sent."""
        return self.headers.get(name, "")

    @property
    def held(self) -> int:
        """Bytes of memory: body, headers, and what was made of the body since."""
        return self.wire_bytes + self.head_bytes + self.more_bytes

    def hold(self, size: int) -> None:
        """Count `size` bytes that were made of the body, by unpacking it or reading texts. Raises ServerFull."""
        if self.holder is not None and size > 0:
            self.holder(self, size)

    @property
    def query(self) -> dict[str, str]:
        """The query's fields. Raises BadRequest where one is given twice."""
        if self._query is None:
            try:
                pairs = parse_qsl(self.raw_query, keep_blank_values=True, max_num_fields=32, errors="strict")
            except ValueError as error:
                raise BadRequest(f"the query cannot be read: {error}") from None
            self._query = dict(pairs)
            if len(self._query) != len(pairs):
                raise BadRequest("the query has a field twice")
        return self._query

    def split_target(self) -> None:
        """Set path, its decoded segments, and the query from the request's target. Raises BadRequest.

        The target may be a whole URL, as clients of proxies send it (RFC 9112 3.2.2). A segment is decoded once it is
        cut out: a `%2F` in a name is part of that name.
        """
        try:
            text = self.target.decode("ascii")
        except UnicodeDecodeError:
            raise BadRequest("the request's target has bytes that are not ASCII: percent-encode them") from None
        if text == "*" and self.method == "OPTIONS":
            self.path = text
            return
        absolute = _ABSOLUTE.match(text)
        if absolute is not None:
            text = text[absolute.end() :]
            text = text if text.startswith("/") else "/" + text
        if not text.startswith("/"):
            raise BadRequest("the request's target must be a path that begins with /, or a whole http URL")
        self.path, _, self.raw_query = text.partition("#")[0].partition("?")
        try:
            self.segments = tuple(unquote(part, errors="strict") for part in self.path[1:].split("/"))
        except UnicodeDecodeError:
            raise BadRequest("the request's path is not UTF-8") from None


class Pieces(Protocol):
    """A body that is made while it is sent."""

    async def next(self) -> bytes | None:
        """Return what comes next; None at the end."""

    def close(self, error: BaseException | None) -> None:
        """End it: all was sent, or what kept the rest from being so. Called once, whatever became of it."""


class Response:
    """A status, a body and headers.

    `pieces` are a body that is not known yet, in place of `body`: they go in chunks (RFC 9112 7.1).
    """

    __slots__ = ("body", "headers", "pieces", "status")

    def __init__(
        self,
        status: int = 200,
        body: bytes = b"",
        content_type: str = "application/json",
        headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Make a response; `headers` are added to content type and length."""
        self.status, self.body = status, body
        self.pieces: Pieces | None = None
        self.headers = [("Content-Type", content_type), *headers] if body or content_type else [*headers]

    @classmethod
    def json(cls, value: Any, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> Response:
        """Make a response of a JSON value."""
        return cls(status, _encode(value), "application/json", headers)

    def head(self, keep_alive: bool, chunked: bool = True) -> bytes:
        """Return the status line and headers; pieces go in chunks, or until the connection's end."""
        lines = [f"HTTP/1.1 {self.status} {REASONS.get(self.status, 'Unknown')}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if self.pieces is None:
            lines.append(f"Content-Length: {len(self.body)}")
        elif chunked:
            lines.append("Transfer-Encoding: chunked")
        lines += [
            f"Date: {_date(int(time.time()))}",
            f"Connection: {'keep-alive' if keep_alive else 'close'}",
            "\r\n",
        ]
        return "\r\n".join(lines).encode("latin-1", "replace")


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    """Return the Date header's text, made once a second (RFC 9110 5.6.7)."""
    return email.utils.formatdate(second, usegmt=True)


def json_text(body: Bytes | memoryview) -> memoryview:
    """Return a JSON body without the byte order mark that RFC 8259 8.1 lets a reader ignore."""
    whole = memoryview(body)
    return whole[3:] if body[:3] == codecs.BOM_UTF8 else whole
