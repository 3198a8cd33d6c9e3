"""The server of HTTP/1.1: a listener whose connections hand whole requests to one function.

server = HttpServer(handle, refuse, HttpLimits(), Account(HttpLimits()))
await server.start("127.0.0.1", 8000)
await server.drain(seconds=30)
"""

from __future__ import annotations

from .account import Account
from .connection import Handle, HttpConnection, Refuse
from .listener import Listener
from .settings import HttpLimits

_GRACE_SECONDS = 1.0  # in which a client that is connected may send one more request


class HttpServer(Listener[HttpConnection]):
    """The listening side; while it drains, answers say `Connection: close`."""

    def __init__(self, handle: Handle, refuse: Refuse, limits: HttpLimits, account: Account) -> None:
        """Prepare; `handle` answers a request and never raises but for cancellation, `refuse` makes the answer to what
        never became a request.
        """
        super().__init__(lambda: HttpConnection(self, handle, refuse), limits, account)

    def announce_end(self) -> None:
        """Say nothing: HTTP/1.1 has no word for it but with an answer."""

    def dismiss(self, connection: HttpConnection, seconds: float) -> None:
        """Close a connection on which nothing happens."""
        if seconds > _GRACE_SECONDS and connection.quiet:
            connection.close()
