"""Listens, counts connections, sweeps their deadlines, and drains them.

server = HttpServer(handle, refusal, Limits(), Account(Limits()))
await server.start("127.0.0.1", 8000)
await server.drain(seconds=30)
"""

from __future__ import annotations

import asyncio
import email.utils
import socket
import time
from collections.abc import Awaitable, Callable

from ..account import Account
from ..errors import ServeError
from ..settings import Limits
from .connection import Connection
from .listening import listen, stop_handshakes
from .messages import Request, Response
from .turns import ReadBuffer

_SWEEP_SECONDS = 0.1


class HttpServer:
    """The listening side; `handle` answers a request and never raises but for cancellation."""

    def __init__(
        self,
        handle: Callable[[Request], Awaitable[Response]],
        refusal: Callable[[Request, ServeError], Response],
        limits: Limits,
        account: Account,
    ) -> None:
        """Prepare; `refusal` makes the answer to what never became a request, `account` counts what clients hold."""
        self.loop = asyncio.get_running_loop()
        self.handle, self.refusal, self.limits, self.account = handle, refusal, limits, account
        self.reading = ReadBuffer(self.loop)
        self.draining = False
        self.connections: set[Connection] = set()
        self.port = 0
        self._sockets: list[socket.socket] = []
        self._servers: list[asyncio.Server] = []
        self._date = (0, "")
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> None:
        """Listen on every address of `host`. Raises StartFailed."""
        self._sockets, self._servers = await listen(host, port, lambda: Connection(self), self.limits.connections)
        self.port = self._sockets[0].getsockname()[1]
        self._sweeper = self.loop.create_task(self._sweep())

    def admit(self, connection: Connection) -> None:
        """Count a connection in. Raises ServerFull where there are too many."""
        self.connections.add(connection)
        self.account.connections += 1
        self.account.check_connections()

    def forget(self, connection: Connection) -> None:
        """Count a connection out."""
        self.connections.discard(connection)
        self.account.connections -= 1

    def date(self) -> str:
        """Return the Date header, made once a second."""
        now = int(time.time())
        if self._date[0] != now:
            self._date = (now, email.utils.formatdate(now, usegmt=True))
        return self._date[1]

    async def drain(self, seconds: float) -> int:
        """Answer what has come and close; return the number of connections cut off after `seconds`.

        Clients that are connected may send one more request, as they may have before they knew; those in the
        kernel's queue are taken first. Answers say `Connection: close`.
        """
        self.draining = True
        end = time.monotonic() + seconds
        await asyncio.sleep(2 * _SWEEP_SECONDS)
        for sock in self._sockets:
            stop_handshakes(sock)
        await asyncio.sleep(_SWEEP_SECONDS)  # what the kernel has queued is taken while the listener is still open
        for server in self._servers:
            server.close()
        grace = time.monotonic() + min(seconds, 1.0)
        while self.connections and time.monotonic() < end:
            if time.monotonic() > grace:
                for connection in [c for c in self.connections if c.quiet]:
                    connection.close()
            await asyncio.sleep(0.02)
        left = list(self.connections)
        for connection in left:
            connection.transport.abort()
        if self._sweeper is not None:
            self._sweeper.cancel()
        return len(left)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now = time.monotonic()
            for connection in list(self.connections):
                connection.check(now)
