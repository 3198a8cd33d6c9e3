"""What a model server answers when it refuses, and the one table from errors to HTTP and gRPC statuses.

status_of(ImageTooLarge("..."))         # Status(413, "INVALID_ARGUMENT")
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from ..errors import EngineCallFailed, EngineError, ImageError, ImageTooLarge, InputError, OvenbirdError
from .http.errors import (
    BadRequest,
    BodyTooLarge,
    HeadersTooLarge,
    ServeError,
    ServerFull,
    TooSlow,
    UnknownCoding,
    UnsupportedContent,
    WrongVersion,
)


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


class QueueFull(ServeError):
    """More work is waiting than can be done in time."""


class NotReady(ServeError):
    """The server, or the model, is starting, draining or unhealthy."""


class DeadlineExceeded(ServeError):
    """The request's own time is over."""


class BackendFailed(EngineCallFailed):
    """The server of `--backend-url` does not answer, or with other tensors than the artifact says."""


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
    BackendFailed: Status(502, "UNAVAILABLE"),
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


_CLIENT_LEFT = Status(499, "CANCELLED")  # nobody reads it but the log and the metrics
_SERVER_FAILED = Status(500, "INTERNAL")


def status_of(error: BaseException) -> Status:
    """Return the status of an error: 500 for whatever is not in the table."""
    for kind in type(error).__mro__:
        if kind in STATUSES:
            return STATUSES[kind]
    return _CLIENT_LEFT if isinstance(error, asyncio.CancelledError) else _SERVER_FAILED


def is_our_failure(error: BaseException) -> bool:
    """Return whether an error is a fault of this server, which its operator must see."""
    return status_of(error).http >= 500 and not isinstance(error, ServeError)


def public_type(error: BaseException) -> str:
    """Return the type of an error as clients and metrics know it."""
    return type(error).__name__ if isinstance(error, OvenbirdError) else "ServerError"


def public_text(error: BaseException) -> str:
    """Return the text of an error for clients: what we did not foresee may quote other clients' data, or our paths."""
    return str(error) if isinstance(error, OvenbirdError) else "the server failed; its log says how"


def public_body(error: BaseException) -> dict[str, Any]:
    """Return the JSON of an error: a text as the Open Inference Protocol has it, and the error's type."""
    return {"error": public_text(error), "type": public_type(error)}
