"""What a server refuses before it knows what is asked for: bytes that are no request, too many of them, or too late.

raise BodyTooLarge("the body has 20000000 bytes, limit 10485760 (--max-body-bytes)")
raise ServerFull("1024 connections are open, the limit (--max-connections)", retry_after=1)
"""

from __future__ import annotations

from ...errors import OvenbirdError


class ServeError(OvenbirdError):
    """A request that is refused; `retry_after` in seconds where trying again makes sense."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class BadRequest(ServeError):
    """The request is not one that HTTP, JSON or the protocol allows."""


class UnknownCoding(ServeError):
    """A transfer encoding that this server does not read."""


class WrongVersion(ServeError):
    """Another version of HTTP than 1.0 or 1.1."""


class UnsupportedContent(ServeError):
    """A content type or encoding that the route does not read."""


class BodyTooLarge(ServeError):
    """More bytes than the limit."""


class HeadersTooLarge(ServeError):
    """More header bytes or header fields than the limit."""


class TooSlow(ServeError):
    """The client did not send its headers or its body in time."""


class ServerFull(ServeError):
    """Too many connections, or too many bytes in memory."""


class StartFailed(ServeError):
    """The server could not be started."""
