"""What a server answers when it refuses, and the one table from errors to HTTP (and gRPC) statuses.

status_of(ImageTooLarge("..."))         # Status(413, "INVALID_ARGUMENT")
"""

from __future__ import annotations

from typing import NamedTuple

from ..errors import (
    EngineError,
    ImageError,
    ImageTooLarge,
    InputError,
    OvenbirdError,
)


class ServeError(OvenbirdError):
    """A request that is refused; `retry_after` in seconds where trying again makes sense."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class BadRequest(ServeError):
    """The request is not one that HTTP, JSON or the protocol allows."""


class MissingImage(ServeError):
    """A prediction was asked for without a picture."""


class UnknownRoute(ServeError):
    """There is nothing at that path."""


class UnknownModel(ServeError):
    """No model of that name, or of that version, is served."""


class NotOffered(ServeError):
    """A part of the protocol that this server leaves to others."""


class WrongMethod(ServeError):
    """The path exists, for other methods."""


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


class QueueFull(ServeError):
    """More work is waiting than can be done in time."""


class NotReady(ServeError):
    """The server, or the model, is starting, draining or unwell."""


class DeadlineExceeded(ServeError):
    """The request's own time is over."""


class ServerFull(ServeError):
    """Too many connections, or too many bytes in memory."""


class StartFailed(ServeError):
    """The server could not be started."""


class Status(NamedTuple):
    """An HTTP status and the name of gRPC's."""

    http: int
    grpc: str


# The most specific class of an error decides; what is in no row is our own fault: 500.
STATUSES: dict[type[OvenbirdError], Status] = {
    BadRequest: Status(400, "INVALID_ARGUMENT"),
    MissingImage: Status(400, "INVALID_ARGUMENT"),
    UnknownRoute: Status(404, "UNIMPLEMENTED"),
    UnknownModel: Status(404, "NOT_FOUND"),
    WrongMethod: Status(405, "UNIMPLEMENTED"),
    TooSlow: Status(408, "DEADLINE_EXCEEDED"),
    BodyTooLarge: Status(413, "RESOURCE_EXHAUSTED"),
    UnsupportedContent: Status(415, "INVALID_ARGUMENT"),
    QueueFull: Status(429, "RESOURCE_EXHAUSTED"),
    HeadersTooLarge: Status(431, "RESOURCE_EXHAUSTED"),
    UnknownCoding: Status(501, "UNIMPLEMENTED"),
    NotReady: Status(503, "UNAVAILABLE"),
    ServerFull: Status(503, "UNAVAILABLE"),
    DeadlineExceeded: Status(504, "DEADLINE_EXCEEDED"),
    WrongVersion: Status(505, "UNIMPLEMENTED"),
    ImageTooLarge: Status(413, "INVALID_ARGUMENT"),
    ImageError: Status(400, "INVALID_ARGUMENT"),
    InputError: Status(400, "INVALID_ARGUMENT"),
    EngineError: Status(500, "INTERNAL"),
    NotOffered: Status(501, "UNIMPLEMENTED"),
}

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
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
}


def status_of(error: BaseException) -> Status:
    """Return the status of an error: 500 for whatever is not in the table."""
    for kind in type(error).__mro__:
        if kind in STATUSES:
            return STATUSES[kind]
    return Status(500, "INTERNAL")


def forget_frames(error: BaseException) -> None:
    """Drop the frames that an error came through, once it is answered: their variables are a request's pictures and
    tensors, which a cycle (a frame, the error in it, its traceback) would keep until Python looks for cycles.
    """
    cause: BaseException | None = error
    while cause is not None:
        cause.__traceback__ = None
        cause = cause.__cause__ or cause.__context__
