"""Listens for gRPC, counts what its clients hold, answers their calls, and drains them.

server = GrpcServer(context)
await server.start("127.0.0.1", 8001)
await server.drain(seconds=30)
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

from h2.exceptions import ProtocolError

from ...errors import OvenbirdError, one_line, shown
from ..context import Context
from ..errors import BadRequest, ServeError, ServerFull, UnknownRoute, forget_frames, status_of
from ..http.encoding import decompress
from ..http.listening import listen, stop_handshakes
from ..http.turns import ReadBuffer
from ..telemetry.metric_names import CANCELLED, MODEL_REQUESTS, MODEL_SECONDS, REJECTED, REQUEST_SECONDS, REQUESTS
from .connection import Connection
from .rpc import Rpc
from .services import methods

_SWEEP_SECONDS = 0.1
_STREAMS_SHARE = 4  # streams may last for ever: they get a part of the calls, and inference keeps the rest


class GrpcServer:
    """The listening side of gRPC."""

    def __init__(self, context: Context) -> None:
        """Prepare. Raises ModuleNotFoundError where protobuf is not installed."""
        self.loop = asyncio.get_running_loop()
        self.context, self.limits = context, context.settings.limits
        self.draining = self.leaving = False
        self.account, self.calls = context.account, 0
        self.reading = ReadBuffer(self.loop)
        self.connections: set[Connection] = set()
        self.port = 0
        self._methods = methods()
        self._streams: set[Rpc] = set()
        self._sockets: list[socket.socket] = []
        self._servers: list[asyncio.Server] = []
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> None:
        """Listen on every address of `host`. Raises StartFailed."""
        self._sockets, self._servers = await listen(host, port, lambda: Connection(self), self.limits.connections)
        self.port = self._sockets[0].getsockname()[1]
        self._sweeper = self.loop.create_task(self._sweep())

    # ---- counting

    def admit(self, connection: Connection) -> None:
        """Count a connection in. Raises ServerFull where there are too many."""
        self.connections.add(connection)
        self.account.connections += 1
        self.account.check_connections()

    def forget(self, connection: Connection) -> None:
        """Count a connection out."""
        self.connections.discard(connection)
        self.account.connections -= 1

    def hold(self, rpc: Rpc, size: int) -> None:
        """Count what a call holds. Raises ServerFull where all clients hold too much."""
        more, rpc.held = size - rpc.held, size
        self.account.held += more
        if more > 0:
            self.account.check_room()

    # ---- calls

    def open(self, connection: Connection, rpc: Rpc) -> None:
        """Begin a call whose headers have come. Raises UnknownRoute, ServerFull."""
        self.calls += 1
        rpc.method = self._methods.get(rpc.path)
        if rpc.method is None:
            raise UnknownRoute(f"{shown(rpc.path)} is not served here")
        if self.calls > self.limits.connections:
            raise ServerFull(f"{self.limits.connections} calls are open, the limit (--max-connections)", retry_after=1)
        if rpc.method.streaming:
            limit = max(1, self.limits.connections // _STREAMS_SHARE)
            if len(self._streams) >= limit:
                raise ServerFull(f"{limit} streams are open, the limit (a part of --max-connections)", retry_after=1)
            self._streams.add(rpc)
            self.begin(connection, rpc)

    def begin(self, connection: Connection, rpc: Rpc) -> None:
        """Answer a call, in a task of its own."""
        rpc.task = self.loop.create_task(self._answer(connection, rpc))

    async def _answer(self, connection: Connection, rpc: Rpc) -> None:
        assert rpc.method is not None
        try:
            if rpc.method.streaming:
                async for message in rpc.method.work(self.context, self._requests(rpc), rpc.call):
                    await connection.send(rpc, message.SerializeToString())
                    connection.flush()
            else:
                request = await self._request(rpc)
                message = await rpc.method.work(self.context, request, rpc.call)
                del request
                await connection.send(rpc, message.SerializeToString())
            connection.succeed(rpc)
            self._record(rpc, None)
        except ProtocolError:  # the client has reset the call, which cancels this task a moment later
            return
        except Exception as error:  # noqa: BLE001 - as over HTTP: every error has a status
            connection.refuse(rpc, error)
            forget_frames(error)

    async def _request(self, rpc: Rpc) -> Any:
        """Read the one message of a unary call. Raises BadRequest, BodyTooLarge."""
        received = time.monotonic()
        found = rpc.inbox.take()
        if found is None or len(rpc.inbox):
            raise BadRequest(f"the call has {'no whole message' if found is None else 'more than one message'}")
        limits = self.limits
        if rpc.timeout is None:
            rpc.call.deadline = received + limits.timeout_ms / 1000
        else:
            rpc.call.deadline = rpc.started + min(rpc.timeout, limits.max_timeout_ms / 1000)
        return await self._parse(rpc, *found)

    async def _requests(self, rpc: Rpc) -> AsyncIterator[Any]:
        """Yield the messages of a call as they come. Raises BadRequest, BodyTooLarge."""
        while True:
            found = rpc.inbox.take()
            if found is not None:
                yield await self._parse(rpc, *found)
                del found
                self.hold(rpc, len(rpc.inbox))
            elif rpc.complete:
                if len(rpc.inbox):
                    raise BadRequest("the call ends within a message")
                return
            else:
                rpc.wake.clear()
                await rpc.wake.wait()

    async def _parse(self, rpc: Rpc, packed: bool, data: bytes | bytearray) -> Any:
        assert rpc.method is not None
        preparation = self.context.preparation
        if packed:
            if rpc.encoding in ("", "identity"):
                raise BadRequest("a message is compressed, and grpc-encoding does not say how")
            data = await preparation.run(decompress, bytes(data), rpc.encoding, self.limits.body_bytes)
            self.hold(rpc, max(rpc.held, len(data)))
        start = time.monotonic()
        weight = rpc.method.weigh(data, self.limits.body_bytes)
        request = await preparation.run_by_size(weight, rpc.method.read, data)
        rpc.call.spent("decode", time.monotonic() - start)
        return request

    def close(self, rpc: Rpc) -> None:
        """Count a call out, and let go of what it holds."""
        self.calls -= 1
        self._streams.discard(rpc)
        self.hold(rpc, 0)
        rpc.inbox.clear()

    def dropped(self, rpc: Rpc) -> None:
        """End the work for a call whose client has gone."""
        if rpc.task is not None:
            rpc.task.cancel()
        self.context.metrics.add(CANCELLED, 1, rpc.call.stage)
        self._record(rpc, asyncio.CancelledError())

    # ---- the log and the metrics

    def count_refusal(self, error: BaseException) -> None:
        """Count what was refused before it was a call, or a call's refusal."""
        self.context.metrics.add(
            REJECTED, 1, type(error).__name__ if isinstance(error, OvenbirdError) else "ServerError"
        )

    def failed(self, rpc: Rpc, error: BaseException) -> None:
        """Take note of a call that ends with an error, and end its work."""
        if rpc.task is not None and rpc.task is not asyncio.current_task():
            rpc.task.cancel()
        self.count_refusal(error)
        if status_of(error).http >= 500 and not isinstance(error, ServeError):
            self.context.log.write("failure", "error", type=type(error).__name__, error=one_line(str(error)))
        self._record(rpc, error)

    def _record(self, rpc: Rpc, error: BaseException | None) -> None:
        context, call, spent = self.context, rpc.call, time.monotonic() - rpc.started
        name = rpc.method.name if rpc.method else "none"
        if error is None:
            status = "OK"
        elif isinstance(error, asyncio.CancelledError):
            status = "CANCELLED"
        else:
            status = status_of(error).grpc
        context.metrics.add(REQUESTS, 1, f"grpc.{name}", status)
        context.metrics.observe(REQUEST_SECONDS, spent, f"grpc.{name}")
        if call.model:
            context.metrics.add(MODEL_REQUESTS, 1, call.model, "success" if error is None else "failure")
            context.metrics.observe(MODEL_SECONDS, spent, call.model)
        if call.statistics is not None:
            call.statistics.answered(call, spent, error is None)
        if context.settings.access_log and (call.model or name == "none"):
            failed = {"error": type(error).__name__} if error is not None else {}
            context.log.write("grpc", method=name, status=status, ms=round(spent * 1000, 2), model=call.model, **failed)

    # ---- time

    async def drain(self, seconds: float) -> int:
        """Answer what has come and close; return the number of connections cut off after `seconds`.

        Clients are asked for no more calls (GOAWAY); what they sent before they knew is answered.
        """
        end = time.monotonic() + seconds
        self.draining = True
        for connection in list(self.connections):
            connection.ask_for_no_more()
        await asyncio.sleep(2 * _SWEEP_SECONDS)
        for sock in self._sockets:
            stop_handshakes(sock)
        await asyncio.sleep(_SWEEP_SECONDS)
        for server in self._servers:
            server.close()
        self.leaving = True
        while self.connections and time.monotonic() < end:
            for connection in [c for c in self.connections if not c.rpcs]:
                connection.leave()
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
