"""From a call of gRPC to its answer: its method, its messages under the limits, errors to statuses.

    calls = Calls(context)
    calls.open(channel, rpc)            # its headers have come; raises UnknownRoute, ServerFull
    calls.begin(channel, rpc)           # it has come as a whole
    calls.dropped(rpc)                  # its client has gone

Used from the event loop only. Invariant: each call is counted from `open` to `close`, and ends in exactly one of
`failed`, `dropped` and the last line of `_answer`, which write it down.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, Protocol

from h2.exceptions import ProtocolError

from ...errors import forget_frames, shown
from ..call import Call
from ..context import Context
from ..errors import UnknownRoute
from ..http.encoding import decompress
from ..http.errors import BadRequest, ServerFull
from ..telemetry.request_ids import RequestIds
from .rpc import Rpc
from .services import methods

_STREAMS_SHARE = 4  # streams may last for ever: they get a part of the calls, and inference keeps the rest


class Channel(Protocol):
    """What a call is answered through: its client's connection."""

    async def send(self, rpc: Rpc, message: bytes) -> None:
        """Send a message. Raises TooSlow, and ProtocolError where the client has gone."""

    def flush(self) -> None:
        """Write what waits to be written."""

    def succeed(self, rpc: Rpc) -> None:
        """End a call well."""

    def refuse(self, rpc: Rpc, error: BaseException) -> None:
        """End a call with an error; `Calls.failed` hears of it."""


class Calls:
    """All open calls of one server."""

    def __init__(self, context: Context) -> None:
        """Answer with the parts in `context`. Raises ModuleNotFoundError where protobuf is not installed."""
        self._context, self._limits = context, context.settings.limits
        self._methods, self._ids = methods(), RequestIds()
        self._open = 0
        self._streams: set[Rpc] = set()

    def open(self, channel: Channel, rpc: Rpc) -> None:
        """Begin a call whose headers have come. Raises UnknownRoute, ServerFull."""
        self._open += 1
        rpc.call.id = self._ids.choose(rpc.request_id)
        rpc.method = self._methods.get(rpc.path)
        if rpc.method is None:
            raise UnknownRoute(f"{shown(rpc.path)} is not served here")
        rpc.call.route = f"grpc.{rpc.method.name}"
        most = self._limits.connections
        if self._open > most:
            raise ServerFull(f"{most} calls are open, the limit (--max-connections)", retry_after=1)
        if rpc.method.streaming:
            limit = max(1, most // _STREAMS_SHARE)
            if len(self._streams) >= limit:
                raise ServerFull(f"{limit} streams are open, the limit (a part of --max-connections)", retry_after=1)
            self._streams.add(rpc)
            self.begin(channel, rpc)

    def begin(self, channel: Channel, rpc: Rpc) -> None:
        """Answer a call, in a task of its own."""
        rpc.task = asyncio.get_running_loop().create_task(self._answer(channel, rpc))

    def hold(self, rpc: Rpc, size: int) -> None:
        """Count what a call holds. Raises ServerFull where all clients hold too much."""
        more, rpc.held = size - rpc.held, size
        self._context.account.held += more
        if more > 0:
            self._context.account.check_room()

    def close(self, rpc: Rpc) -> None:
        """Count a call out, and let go of what it holds."""
        self._open -= 1
        self._streams.discard(rpc)
        self.hold(rpc, 0)
        rpc.inbox.clear()

    # ---- ends

    def dropped(self, rpc: Rpc) -> None:
        """End the work for a call whose client has gone."""
        if rpc.task is not None:
            rpc.task.cancel()
        rpc.call.finish(self._context, asyncio.CancelledError())

    def failed(self, rpc: Rpc, error: BaseException) -> None:
        """Take note of a call that ends with an error, and end its work."""
        if rpc.task is not None and rpc.task is not asyncio.current_task():
            rpc.task.cancel()
        rpc.call.finish(self._context, error)

    def refused(self, error: BaseException) -> str:
        """Take note of what was refused before it was a call; return the id that it is logged by."""
        call = Call(time.monotonic(), "grpc", "grpc.none", id=self._ids.choose(""))
        call.finish(self._context, error)
        return call.id

    # ---- answering

    async def _answer(self, channel: Channel, rpc: Rpc) -> None:
        assert rpc.method is not None
        try:
            if rpc.method.streaming:
                async for message in rpc.method.work(self._context, self._requests(rpc), rpc.call):
                    await channel.send(rpc, message if isinstance(message, bytes) else message.SerializeToString())
                    channel.flush()
            else:
                request = await self._request(rpc)
                message = await rpc.method.work(self._context, request, rpc.call)
                del request
                await channel.send(rpc, message.SerializeToString())
            channel.succeed(rpc)
            rpc.call.finish(self._context)
        except ProtocolError:  # the client has reset the call, which cancels this task a moment later
            return
        except Exception as error:  # noqa: BLE001 - as over HTTP: every error has a status
            channel.refuse(rpc, error)
            forget_frames(error)

    async def _request(self, rpc: Rpc) -> Any:
        """Read the one message of a unary call. Raises BadRequest, BodyTooLarge."""
        received = time.monotonic()
        found = rpc.inbox.take()
        if found is None or len(rpc.inbox):
            raise BadRequest(f"the call has {'no whole message' if found is None else 'more than one message'}")
        since = received if rpc.timeout is None else rpc.call.started
        rpc.call.allow(self._context.seconds_for(rpc.timeout), since)
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
        offload = self._context.offload
        rpc.call.bytes_in += len(data)
        if packed:
            if rpc.encoding in ("", "identity"):
                raise BadRequest("a message is compressed, and grpc-encoding does not say how")
            data = await offload.run(decompress, bytes(data), rpc.encoding, self._limits.body_bytes)
            self.hold(rpc, max(rpc.held, len(data)))
        start = time.monotonic()
        weight = rpc.method.weigh(data, self._limits.body_bytes)
        request = await offload.run_by_size(weight, rpc.method.read, data)
        rpc.call.spent("decode", time.monotonic() - start)
        return request
