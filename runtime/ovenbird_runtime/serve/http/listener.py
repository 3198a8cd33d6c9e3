"""What listens, for HTTP/1.1 and for HTTP/2 alike: connections are counted in and out, swept, and drained.

    class HttpServer(Listener[Connection]): ...

    await server.start("127.0.0.1", 8000)
    cut_off = await server.drain(seconds=30)

A listener owns its connections; all of it runs on the event loop. Invariant: each connection in `connections` is
counted once in the account, from `admit` to `forget`, which asyncio's `connection_lost` always reaches.
"""

from __future__ import annotations

import asyncio
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

from .account import Account
from .listening import listen, stop_handshakes
from .settings import HttpLimits
from .turns import ReadBuffer

_SWEEP_SECONDS = 0.1
_DRAIN_LOOK_SECONDS = 0.02


class Peer(asyncio.BufferedProtocol, ABC):
    """One client's connection, as its listener sees it."""

    transport: asyncio.Transport

    @abstractmethod
    def check(self, now: float) -> None:
        """End what has taken too long. Called by the listener a few times a second."""

    def eof_received(self) -> bool:
        """Take the end of what a client sends for its leaving."""
        return False


P = TypeVar("P", bound=Peer)


class Listener(ABC, Generic[P]):
    """The listening side of a protocol."""

    def __init__(self, make: Callable[[], P], limits: HttpLimits, account: Account) -> None:
        """Prepare; `make` gives the protocol object of a new client, `account` counts what all clients hold."""
        self.loop = asyncio.get_running_loop()
        self.limits, self.account = limits, account
        self.reading = ReadBuffer(self.loop)
        self.draining = self.leaving = False  # no more work is wanted; nobody new can connect any more
        self.connections: set[P] = set()
        self.port = 0
        self._make = make
        self._sockets: list[socket.socket] = []
        self._servers: list[asyncio.Server] = []
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> None:
        """Listen on every address of `host`. Raises StartFailed."""
        self._sockets, self._servers = await listen(host, port, self._make, self.limits.connections)
        self.port = self._sockets[0].getsockname()[1]
        self._sweeper = self.loop.create_task(self._sweep())

    def admit(self, connection: P) -> None:
        """Count a connection in. Raises ServerFull where there are too many."""
        self.connections.add(connection)
        self.account.connections += 1
        self.account.check_connections()

    def forget(self, connection: P) -> None:
        """Count a connection out."""
        self.connections.discard(connection)
        self.account.connections -= 1

    async def drain(self, seconds: float) -> int:
        """Answer what has come and close; return the number of connections cut off after `seconds`.

        Clients in the kernel's queue are taken first, and what clients sent before they knew of the end is answered.
        """
        self.draining = True
        end = time.monotonic() + seconds
        self.announce_end()
        await asyncio.sleep(2 * _SWEEP_SECONDS)
        for sock in self._sockets:
            stop_handshakes(sock)
        await asyncio.sleep(_SWEEP_SECONDS)  # what the kernel has queued is taken while the listener is still open
        for server in self._servers:
            server.close()
        self.leaving, closed = True, time.monotonic()
        while self.connections and time.monotonic() < end:
            for connection in list(self.connections):
                self.dismiss(connection, time.monotonic() - closed)
            await asyncio.sleep(_DRAIN_LOOK_SECONDS)
        left = list(self.connections)
        for connection in left:
            connection.transport.abort()
        if self._sweeper is not None:
            self._sweeper.cancel()
        return len(left)

    @abstractmethod
    def announce_end(self) -> None:
        """Say to those who are connected that the end comes, where the protocol has a word for it."""

    @abstractmethod
    def dismiss(self, connection: P, seconds: float) -> None:
        """Close a connection that has nothing open, `seconds` after the last client could connect."""

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now = time.monotonic()
            for connection in list(self.connections):
                connection.check(now)
