"""The server of gRPC: a listener whose connections hand calls to `Calls`.

server = GrpcServer(context)
await server.start("127.0.0.1", 8001)
await server.drain(seconds=30)
"""

from __future__ import annotations

from ..context import Context
from ..http.listener import Listener
from .calls import Calls
from .connection import GrpcConnection


class GrpcServer(Listener[GrpcConnection]):
    """The listening side of gRPC; it shares the limits and the account with HTTP's."""

    def __init__(self, context: Context) -> None:
        """Prepare. Raises ModuleNotFoundError where protobuf is not installed."""
        calls = Calls(context)
        super().__init__(lambda: GrpcConnection(self, calls), context.settings.limits, context.account)

    def announce_end(self) -> None:
        """Ask for no more calls (GOAWAY)."""
        for connection in list(self.connections):
            connection.ask_for_no_more()

    def dismiss(self, connection: GrpcConnection, seconds: float) -> None:
        """Say goodbye on a connection without calls."""
        if not connection.rpcs:
            connection.leave()
