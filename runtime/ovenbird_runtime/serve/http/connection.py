"""One client's connection: bytes in, requests out, in order, under the limits' deadlines.

What it reads has a phase, each with a deadline that `HttpServer` sweeps: waiting for a request (keep-alive),
headers, a body, and, after a refusal, nothing more. Answers are written by one task, in the order of the
requests; what a client pipelines meanwhile is read within the same limits.

    loop.create_server(lambda: Connection(server), "127.0.0.1", 8000)
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, NoReturn, cast

import httptools

from ...limits import SERVE_LINGER_SECONDS, SERVE_PIPELINED_REQUESTS
from ..errors import (
    BadRequest,
    BodyTooLarge,
    HeadersTooLarge,
    ServeError,
    ServerFull,
    TooSlow,
)
from .messages import Request, Response

if TYPE_CHECKING:
    from .server import HttpServer

_SINGLE = frozenset(("host", "content-length", "content-type", "transfer-encoding", "content-encoding", "expect"))


class Phase(Enum):
    """What a connection reads; the values are what messages say."""

    IDLE = "waiting for a request"
    HEADERS = "reading headers"
    BODY = "reading a body"
    REFUSED = "reading nothing more"
    CLOSING = "closing"


class Connection(asyncio.Protocol):
    """The protocol object that asyncio makes for each client."""

    def __init__(self, server: HttpServer) -> None:
        """Belong to `server`."""
        self._server, self._limits = server, server.limits
        self._parser = httptools.HttpRequestParser(self)
        self._request = Request()
        self._chunks: list[bytes] = []
        self._body_bytes = self._header_bytes = 0
        self._refusal: ServeError | None = None
        self._waiting: deque[Request] = deque()
        self._task: asyncio.Task[None] | None = None
        self._answering: Request | None = None
        self._stuck_since = 0.0
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)
        self.phase, self.deadline = Phase.IDLE, 0.0

    # ---- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or refuse it where there are too many."""
        self.transport = cast(asyncio.Transport, transport)
        self._enter(Phase.IDLE, self._limits.header_seconds)
        if not self._server.admit(self):
            limit = self._limits.connections
            self._refuse(ServerFull(f"{limit} connections are open, the limit (--max-connections)", retry_after=1))

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        if self.phase in (Phase.REFUSED, Phase.CLOSING):
            return
        if self.phase is Phase.IDLE:
            self._enter(Phase.HEADERS, self._limits.header_seconds)
            self._request.started = time.monotonic()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(BadRequest("this server speaks HTTP/1.1 only: send no Upgrade and no CONNECT"))
        except httptools.HttpParserError as error:
            self._refuse(self._refusal or BadRequest(f"not HTTP that can be read: {error}"))

    def eof_received(self) -> bool:
        """Take the end of what a client sends for its leaving."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client, and drop what it still wanted."""
        self.phase = Phase.CLOSING
        self._release()
        for request in self._waiting:
            self._server.buffered -= request.wire_bytes
        self._waiting.clear()
        if self._task is not None and self._answering is not None:
            self._task.cancel()
        self._server.forget(self)

    def pause_writing(self) -> None:
        """Begin to count how long a client does not read its answer."""
        self._stuck_since = time.monotonic()

    def resume_writing(self) -> None:
        """Stop that count."""
        self._stuck_since = 0.0

    # ---- the parser's side

    def on_url(self, part: bytes) -> None:
        """Take a piece of the target."""
        self._count(len(part))
        self._request.target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; those that decide where a message ends, or what it means, may come only once."""
        self._count(len(name) + len(value) + 4)
        if self.phase is Phase.BODY:  # a trailer: read past, never merged into the headers
            return
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers = self._request.headers
        if key in headers:
            if key in _SINGLE:
                self._fail(BadRequest(f"the header {key} is given twice"))
            text = f"{headers[key]}, {text}"
        headers[key] = text
        if len(headers) > self._limits.headers:
            self._fail(HeadersTooLarge(f"more than {self._limits.headers} header fields, the limit (--max-headers)"))

    def on_headers_complete(self) -> None:
        """Decide on a request before its body is read."""
        request, limits = self._request, self._limits
        request.method = self._parser.get_method().decode("latin-1")
        request.version = self._parser.get_http_version()
        request.keep_alive = self._parser.should_keep_alive()
        coding = request.headers.get("transfer-encoding")
        if self._parser.should_upgrade():
            self._fail(BadRequest("this server speaks HTTP/1.1 only: send no Upgrade and no CONNECT"))
        if request.version not in ("1.0", "1.1"):
            self._fail(BadRequest(f"HTTP/{request.version} is not spoken here: use HTTP/1.1"))
        if request.version == "1.1" and not request.header("host"):
            self._fail(BadRequest("the request has no Host header"))
        if coding is not None and (request.version == "1.0" or coding.lower() != "chunked"):
            self._fail(BadRequest("the only transfer encoding read here is chunked, over HTTP/1.1"))
        length = int(request.headers.get("content-length") or 0)
        if length > limits.body_bytes:
            self._fail(_too_large(f"{length}", limits.body_bytes))
        self._enter(Phase.BODY, limits.body_seconds)
        if (length or coding) and request.header("expect").lower() == "100-continue" and self._task is None:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, part: bytes) -> None:
        """Take a piece of the body, within the limits of this request and of the server."""
        if self._body_bytes + len(part) > self._limits.body_bytes:
            self._fail(_too_large(f"more than {self._limits.body_bytes}", self._limits.body_bytes))
        if self._server.buffered + len(part) > self._limits.buffered_bytes:
            self._fail(ServerFull("too many request bodies are in memory: come back later", retry_after=1))
        self._chunks.append(part)
        self._body_bytes += len(part)
        self._server.buffered += len(part)

    def on_message_complete(self) -> None:
        """Hand the request over, or let it wait for the one before it."""
        request = self._request
        request.body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        request.wire_bytes = self._body_bytes
        request.received = time.monotonic()
        self._chunks, self._body_bytes, self._header_bytes = [], 0, 0
        self._request = Request()
        self._waiting.append(request)
        if len(self._waiting) > SERVE_PIPELINED_REQUESTS:
            self._fail(BadRequest(f"more than {SERVE_PIPELINED_REQUESTS} requests without waiting for an answer"))
        self._enter(Phase.IDLE, 0)
        if self._task is None:
            self._task = self._server.loop.create_task(self._answer_all())

    # ---- answering

    async def _answer_all(self) -> None:
        try:
            while self._waiting and not self.transport.is_closing():
                request = self._answering = self._waiting.popleft()
                try:
                    response = await self._server.handle(request)
                finally:
                    self._server.buffered -= request.wire_bytes
                self._send(request, response)
                if self.phase is Phase.REFUSED and self._refusal is None:
                    return
        finally:
            self._task = self._answering = None
        if self._refusal is not None:
            self._refuse(self._refusal)
        elif self.phase is Phase.IDLE:
            self._enter(Phase.IDLE, self._limits.keep_alive_seconds)

    def _send(self, request: Request, response: Response) -> None:
        keep = request.keep_alive and not response.close and not self._server.draining
        head = response.head(keep, self._server.date())
        body = b"" if request.method == "HEAD" else response.body
        if len(body) < 65536:
            self.transport.write(head + body)
        else:
            self.transport.writelines((head, body))
        if not keep:
            self._refusal = None
            self._linger()

    # ---- refusing

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > self._limits.header_bytes:
            limit = self._limits.header_bytes
            self._fail(HeadersTooLarge(f"more than {limit} bytes of headers, the limit (--max-header-bytes)"))

    def _fail(self, error: ServeError) -> NoReturn:
        """Refuse from within a callback of the parser, which turns any exception into its own."""
        self._refusal = error
        raise error

    def _refuse(self, error: ServeError) -> None:
        """Answer an error to what is no request, after the answers to what came before it, and close."""
        self._release()
        self._refusal = error
        self._enter(Phase.REFUSED, 0)
        if self._task is not None:  # it ends with this refusal
            return
        self._refusal = None
        response = self._server.refusal(self._request, error)
        self.transport.write(response.head(False, self._server.date()) + response.body)
        self._linger()

    def _linger(self) -> None:
        """Close for writing; throw away what the client still sends, so that it gets to read the answer."""
        if self.transport.is_closing():
            return
        self.transport.write_eof()
        self._enter(Phase.REFUSED, SERVE_LINGER_SECONDS)

    def _release(self) -> None:
        self._server.buffered -= self._body_bytes
        self._chunks, self._body_bytes = [], 0

    # ---- time

    def _enter(self, phase: Phase, seconds: float) -> None:
        """Enter a phase; 0 seconds means that it has no deadline of its own."""
        self.phase = phase
        self.deadline = time.monotonic() + seconds if seconds else 0.0

    def check(self, now: float) -> None:
        """End what has taken too long. Called by the server a few times a second."""
        if self._stuck_since and now > self._stuck_since + self._limits.write_seconds:
            self.transport.abort()
        elif not self.deadline or now < self.deadline:
            return
        elif self.phase is Phase.HEADERS:
            limit = self._limits.header_seconds
            self._refuse(TooSlow(f"the headers took longer than {limit:g} s, the limit (--header-seconds)"))
        elif self.phase is Phase.BODY:
            limit = self._limits.body_seconds
            self._refuse(TooSlow(f"the body took longer than {limit:g} s, the limit (--body-seconds)"))
        elif self.phase is Phase.IDLE:
            self.close()
        else:
            self.transport.abort()

    def close(self) -> None:
        """Close once what was written has gone out, or its time is over."""
        self.transport.close()
        self._enter(Phase.CLOSING, self._limits.write_seconds)

    @property
    def quiet(self) -> bool:
        """Whether nothing of this client is being read or answered."""
        return self._task is None and self.phase in (Phase.IDLE, Phase.REFUSED)


def _too_large(size: str, limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body has {size} bytes, limit {limit} (--max-body-bytes)")
