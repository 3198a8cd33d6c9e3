"""Bytes in, requests out: the parser of one connection, within the limits of a request.

    reader = Reader(limits, begun=..., complete=...)
    reader.feed(data)               # calls begun(request) after its headers, complete(request) after its body

The parser is llhttp (through httptools), which keeps a field that has not ended to itself: bytes that give nothing are
counted here. It also takes `Upgrade` for the end of HTTP, and reads no body after it; RFC 9110 7.8 lets a server ignore
the field, so that reading goes on with a new parser, which learns how the body is framed.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import httptools

from .body import Body
from .errors import BadRequest, BodyTooLarge, HeadersTooLarge, ServeError, UnknownCoding, WrongVersion
from .messages import Request
from .settings import HttpLimits

_SINGLE = frozenset(("host", "content-length", "content-type", "transfer-encoding", "content-encoding", "expect"))
_CODINGS = frozenset(("gzip", "x-gzip", "deflate", "compress", "x-compress"))
_FIELD_BYTES = 256  # what a field costs on top of its text: two objects, their place in a dict
_FREE_BYTES = 4096  # of headers, so much is a connection's own cost, like its socket: --max-connections bounds it
_FRAMING = 16  # bytes of chunk sizes and extensions for each byte of a body; chunks of one byte take 5


class Reader:
    """Reads the requests of one client."""

    def __init__(
        self, limits: HttpLimits, begun: Callable[[Request], None], complete: Callable[[Request], None]
    ) -> None:
        """Call `begun` and `complete`, which may raise ServeError, for each request."""
        self._limits, self._begun, self._complete = limits, begun, complete
        self._parser = httptools.HttpRequestParser(self)
        self.request = Request()
        self.body = Body()
        self.reading_body = False
        self.parts = 0  # that the parser gave, ever: the work that was done
        self._head_bytes = self._fields = self._framing = 0
        self._silent = 0  # bytes since the parser gave anything
        self._unread = 0  # bytes of a head that has no end yet, at most: the parser may keep them
        self._chunked = self._upgrading = self._priming = self._reading_head = False

    def feed(self, data: memoryview) -> None:
        """Read what came. Raises ServeError, after which nothing more can be read."""
        while data:
            request, parts, length = self.request, self.parts, self.body.length
            chunked = self._chunked
            used = len(data)
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                used = upgrade.args[0]
                self._read_on()
            except httptools.HttpParserError as error:
                raise self._cause(error) from None
            self._silent = 0 if self.parts > parts else self._silent + used
            self._unread = self._unread + used if self._reading_head else 0
            if chunked and self.request is request:
                self._framing += used - (self.body.length - length)
            self._check_framing()
            data = data[used:]

    @property
    def held(self) -> int:
        """Bytes of memory that the request takes that is being read."""
        head = max(self._head_bytes + self._silent, self._unread) + self._fields * _FIELD_BYTES
        return max(0, head - _FREE_BYTES) + self.body.held

    def drop(self) -> None:
        """Let go of what was read of a request that will not be complete."""
        self.body = Body()
        self._forget_head()

    # ---- the parser's side: any exception raised here ends the parsing

    def on_message_begin(self) -> None:
        """Begin a request."""
        if not self._priming:
            self.request = Request()
            self._forget_head()
            self._reading_head = True

    def on_url(self, part: bytes) -> None:
        """Take a piece of the target."""
        if not self._priming:
            self._count(len(part))
            self.request.target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; those that decide where a message ends, or what it means, may come only once."""
        if self._priming:
            return
        self._count(len(name) + len(value) + 4)
        self._fields += 1
        if self._fields > self._limits.headers:
            raise HeadersTooLarge(f"more than {self._limits.headers} header fields, the limit (--max-headers)")
        if self.reading_body:  # a trailer: read past, never merged into the headers
            return
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers = self.request.headers
        if key in headers:
            if key in _SINGLE:
                raise BadRequest(f"the header {key} is given twice")
            text = f"{headers[key]}, {text}"
        headers[key] = text

    def on_headers_complete(self) -> None:
        """Decide on a request before its body is read."""
        if self._priming:
            return
        request, parser = self.request, self._parser
        request.method = parser.get_method().decode("latin-1")
        request.version = parser.get_http_version()
        request.keep_alive = parser.should_keep_alive()
        if request.version == "0.9":
            raise BadRequest("the request line has no version: use HTTP/1.1")
        if request.version not in ("1.0", "1.1"):
            raise WrongVersion(f"HTTP/{request.version} is not spoken here: use HTTP/1.1")
        if request.version == "1.1" and not request.header("host"):
            raise BadRequest("the request has no Host header")
        self._upgrading = parser.should_upgrade()
        if self._upgrading:
            _check_upgrade(request)
        coding, length = request.headers.get("transfer-encoding"), request.headers.get("content-length")
        self._chunked, self._framing = coding is not None, 0
        if coding is not None:
            _check_coding(coding, request.version, length)
        if int(length or 0) > self._limits.body_bytes:
            raise _too_large(f"{length}", self._limits)
        self._reading_head, self.reading_body = False, True
        request.has_body = coding is not None or int(length or 0) > 0
        self._begun(request)

    def on_body(self, part: bytes) -> None:
        """Take a piece of the body."""
        self.parts += 1
        if self.body.length + len(part) > self._limits.body_bytes:
            raise _too_large(f"more than {self._limits.body_bytes}", self._limits)
        self.body.add(part)

    def on_message_complete(self) -> None:
        """Hand the request over."""
        if self._upgrading:  # llhttp's view only: the body is still to come
            return
        request = self.request
        request.head_bytes = max(0, self._head_bytes + self._fields * _FIELD_BYTES - _FREE_BYTES)
        request.wire_bytes = self.body.length
        request.body = self.body.take()
        request.received = time.monotonic()
        self.request = Request()
        self.reading_body = self._chunked = self._priming = False
        self._forget_head()
        self._complete(request)

    # ---- around the parser

    def _forget_head(self) -> None:
        self._head_bytes = self._fields = self._silent = self._unread = 0
        self._reading_head = False

    def _read_on(self) -> None:
        """Read a request's body, and whatever follows, after an Upgrade that is ignored."""
        request = self.request
        framing = [
            f"{name}: {request.headers[name]}\r\n"
            for name in ("content-length", "transfer-encoding")
            if name in request.headers
        ]
        connection = "keep-alive" if request.keep_alive else "close"
        head = f"POST / HTTP/{request.version}\r\nhost: -\r\nconnection: {connection}\r\n{''.join(framing)}\r\n"
        self._parser = httptools.HttpRequestParser(self)
        self._upgrading, self._priming = False, True
        try:
            self._parser.feed_data(head.encode("latin-1"))
        except httptools.HttpParserError as error:
            raise self._cause(error) from None
        self._priming = False

    def _cause(self, error: httptools.HttpParserError) -> ServeError:
        if isinstance(error.__context__, ServeError):
            return error.__context__
        if self._parser.get_method() == b"PRI":  # RFC 9113 3.4: a client that knows this server speaks HTTP/2
            return WrongVersion("HTTP/2 is not spoken here: use HTTP/1.1")
        return BadRequest(f"not HTTP that can be read: {error}")

    def _count(self, size: int) -> None:
        self.parts += 1
        self._head_bytes += size
        if self._head_bytes > self._limits.header_bytes:
            raise self._head_too_large()

    def _check_framing(self) -> None:
        if self._head_bytes + self._silent > self._limits.header_bytes:
            raise self._head_too_large()
        if self._framing > _FRAMING * self.body.length + self._limits.header_bytes:
            raise BodyTooLarge(
                f"the chunks' sizes and extensions have {self._framing} bytes, limit {_FRAMING} for each byte of the "
                f"body and {self._limits.header_bytes} (--max-header-bytes): send larger chunks"
            )

    def _head_too_large(self) -> HeadersTooLarge:
        limit = self._limits.header_bytes
        return HeadersTooLarge(f"more than {limit} bytes of headers or trailers, the limit (--max-header-bytes)")


def _check_upgrade(request: Request) -> None:
    """Refuse what cannot be answered without changing the protocol; every other Upgrade is ignored."""
    if request.method == "CONNECT":
        raise BadRequest("this server is no proxy: send no CONNECT")
    wanted = [part.strip().lower() for part in request.header("upgrade").split(",")]
    if any(protocol.partition("/")[0] == "websocket" for protocol in wanted):
        raise BadRequest("WebSocket is not spoken here: send requests of HTTP/1.1")


def _check_coding(coding: str, version: str, length: str | None) -> None:
    """Refuse a transfer coding that could be read in two ways (RFC 9112 6.1), or not at all."""
    *before, last = [part.strip().lower() for part in coding.split(",")]
    if version == "1.0" or length is not None or last != "chunked":
        raise BadRequest(
            "a transfer encoding must end in chunked, have no Content-Length next to it, and is not of HTTP/1.0"
        )
    if before and _CODINGS.issuperset(before):
        raise UnknownCoding(f"the transfer encoding {coding[:60]!r} is not read here: use chunked alone")
    if before:
        raise BadRequest(f"the transfer encoding {coding[:60]!r} is none: use chunked alone")


def _too_large(size: str, limits: HttpLimits) -> BodyTooLarge:
    return BodyTooLarge(f"the body has {size} bytes, limit {limits.body_bytes} (--max-body-bytes)")
