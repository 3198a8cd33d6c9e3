"""One client's HTTP/2 connection: frames in, calls out, under the same limits and deadlines as over HTTP/1.1.

    loop.create_server(lambda: GrpcConnection(listener, calls), sock=sock)

h2 speaks the protocol, here is what it leaves to its user: what may be held, for how long, and who hears what. Written
by hand around it, where grpcio would do the rest: that keeps whole messages in memory that it does not count, for as
long as a client likes, and has no limit on either. Thirty messages of 10 MB without their last byte held 295 MB, for
ever.
"""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any, cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hyperframe.frame import GoAwayFrame

from ...limits import (
    SERVE_FRAME_BYTES,
    SERVE_GRPC_IDLE_SECONDS,
    SERVE_LINGER_SECONDS,
    SERVE_RESETS,
    SERVE_SPARE_FRAMES,
    SERVE_STREAM_WINDOW_BYTES,
    SERVE_WINDOW_BYTES,
)
from ..errors import public_text, status_of
from ..http.errors import BadRequest, ServeError, ServerFull, TooSlow
from ..http.listener import Listener, Peer
from .calls import Calls
from .frames import FrameWatch
from .framing import framed
from .rpc import Rpc, response_headers, trailers, trailers_only

_FRAME_PARTS = 16  # a frame's time in h2, in parts of what llhttp gives
_CONFIGURATION = H2Configuration(
    client_side=False, header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False
)


class _H2(H2Connection):  # type: ignore[misc]
    """h2's connection: with our sizes, without a long memory, and still speaking after the client's GOAWAY."""

    MAX_CLOSED_STREAMS = 256

    def _receive_frame(self, frame: Any) -> list[Event]:
        """Leave the body out of the line that h2 writes to its log of each frame, even where nobody reads it."""
        frame._body_repr = str
        found: list[Event] = super()._receive_frame(frame)
        return found

    def _receive_goaway_frame(self, frame: GoAwayFrame) -> tuple[list[Any], list[Event]]:
        """Go on: who says GOAWAY waits for the answers to what was sent before (RFC 9113, section 6.8)."""
        return [], []


class GrpcConnection(Peer):
    """The protocol object that asyncio makes for each client."""

    def __init__(self, listener: Listener[GrpcConnection], calls: Calls) -> None:
        """Belong to `listener`; have calls answered by `calls`."""
        self._listener, self._limits, self._calls = listener, listener.limits, calls
        self._h2 = _H2(_CONFIGURATION)
        self._watch = FrameWatch(SERVE_FRAME_BYTES)
        self._held = 0  # of a frame that is not whole
        self._resets = 0
        self._stuck_since = self._closing_since = 0.0
        self._dense = False
        self._quiet_since = time.monotonic()
        self._greeted = False
        self.rpcs: dict[int, Rpc] = {}
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)

    # ---- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or close it where there are too many."""
        self.transport = cast(asyncio.Transport, transport)
        try:
            self._listener.admit(self)
        except ServerFull as error:
            self._calls.refused(error)
            self._closing_since = time.monotonic()
            self.transport.abort()
            return
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._h2.decoder.max_header_list_size = self._limits.header_bytes
        self._h2.local_settings = Settings(
            client=False,
            initial_values={
                SettingCodes.INITIAL_WINDOW_SIZE: SERVE_STREAM_WINDOW_BYTES,
                SettingCodes.MAX_FRAME_SIZE: SERVE_FRAME_BYTES,
                SettingCodes.MAX_CONCURRENT_STREAMS: self._limits.connections,
                SettingCodes.MAX_HEADER_LIST_SIZE: self._limits.header_bytes,
            },
        )
        self._h2.max_inbound_frame_size = SERVE_FRAME_BYTES
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(SERVE_WINDOW_BYTES)
        self.flush()
        if self._listener.draining:
            self.ask_for_no_more()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the server's one buffer: what is in it is parsed before anybody else reads."""
        return self._listener.reading.room(self._dense)

    def buffer_updated(self, count: int) -> None:
        """Parse what came."""
        if self._closing_since:
            return
        data = self._listener.reading.memory[:count]
        try:
            self._dense = self._listener.reading.spent(count, _FRAME_PARTS * self._watch.take(data))
            self._hold_frame(self._watch.held)
            for event in self._h2.receive_data(data):
                self._take(event)
        except ServeError as error:
            self.end(error, ErrorCodes.ENHANCE_YOUR_CALM)
        except ProtocolError as error:
            self.end(BadRequest(f"not HTTP/2 that can be read: {error}"), error.error_code)
        else:
            self._settle()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client, and drop what it still wanted."""
        self._closing_since = self._closing_since or time.monotonic()
        self._hold_frame(0)
        for rpc in list(self.rpcs.values()):
            self._drop(rpc)
        self._listener.forget(self)

    def pause_writing(self) -> None:
        """Read no more from who does not read: its answers would pile up."""
        self._stuck_since = time.monotonic()
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """Read on."""
        self._stuck_since = 0.0
        if not self.transport.is_closing():
            self.transport.resume_reading()
        for rpc in self.rpcs.values():
            rpc.wake.set()

    # ---- h2's side

    def _take(self, event: Event) -> None:
        """Act on one event of the protocol."""
        if isinstance(event, DataReceived):
            rpc = self.rpcs.get(event.stream_id)
            if rpc is not None and event.data:
                try:
                    self._feed(rpc, event.data)
                except ServeError as error:
                    self.refuse(rpc, error)
            if event.flow_controlled_length:
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, RequestReceived):
            self._open(event.stream_id, event.headers)
        elif isinstance(event, StreamEnded):
            rpc = self.rpcs.get(event.stream_id)
            if rpc is not None:
                rpc.complete = True
                self._advance(rpc)
        elif isinstance(event, StreamReset):
            self._resets += 1
            if self._resets > SERVE_RESETS:
                raise BadRequest(f"{SERVE_RESETS} calls more were cancelled than answered: slow down")
            if (rpc := self.rpcs.get(event.stream_id)) is not None:
                self._drop(rpc)
        elif isinstance(event, RemoteSettingsChanged):
            self._greeted = True
        elif isinstance(event, WindowUpdated):
            if event.stream_id:
                if (rpc := self.rpcs.get(event.stream_id)) is not None:
                    rpc.wake.set()
            else:
                for rpc in self.rpcs.values():
                    rpc.wake.set()

    def _open(self, number: int, headers: Any) -> None:
        self._quiet_since = 0.0
        try:
            rpc = Rpc(number, headers, self._limits)
        except ServeError as error:
            self._answer_refusal(number, error, self._calls.refused(error), False)
            return
        self.rpcs[number] = rpc
        try:
            self._calls.open(self, rpc)
        except ServeError as error:
            self.refuse(rpc, error)

    def _feed(self, rpc: Rpc, data: bytes) -> None:
        """Keep a piece of a message, within the limits of this call and of the server."""
        rpc.feed(data, self._limits.body_seconds)
        self._calls.hold(rpc, len(rpc.inbox))
        rpc.wake.set()

    def _advance(self, rpc: Rpc) -> None:
        """Go on with a call that has been sent as a whole."""
        rpc.wake.set()
        if rpc.task is None:
            self._calls.begin(self, rpc)

    def _drop(self, rpc: Rpc) -> None:
        """Forget a call whose client has gone."""
        if self._forget(rpc):
            self._calls.dropped(rpc)

    def _forget(self, rpc: Rpc) -> bool:
        found = self.rpcs.pop(rpc.number, None) is not None
        if found:
            self._calls.close(rpc)
            if not self.rpcs:
                self._quiet_since = time.monotonic()
        return found

    def _hold_frame(self, size: int) -> None:
        """Count a frame that is not whole. Where there is no room, its call is refused, or who has no call at all."""
        more, self._held = size - self._held, size
        self._listener.account.held += more
        if more <= 0:
            return
        try:
            self._listener.account.check_room()
        except ServerFull as error:
            if (rpc := self.rpcs.get(self._watch.stream)) is not None:
                self.refuse(rpc, error)
            elif not self.rpcs:
                raise

    # ---- answering

    async def send(self, rpc: Rpc, message: bytes) -> None:
        """Send a message, as fast as the client takes it. Raises TooSlow, and ProtocolError where it has gone."""
        if not rpc.answering:
            rpc.answering = True
            self._h2.send_headers(rpc.number, response_headers(rpc.call.id))
        view = memoryview(framed(message))
        while view:
            room = min(self._h2.local_flow_control_window(rpc.number), self._h2.max_outbound_frame_size)
            if room > 0 and not self._stuck_since:
                self._h2.send_data(rpc.number, bytes(view[:room]))
                view = view[room:]
                continue
            self.flush()
            self._calls.hold(rpc, len(rpc.inbox) + len(view))
            rpc.wake.clear()
            try:
                await asyncio.wait_for(rpc.wake.wait(), self._limits.write_seconds)
            except asyncio.TimeoutError:
                limit = self._limits.write_seconds
                raise TooSlow(f"the answer was not read within {limit:g} s, the limit (--write-seconds)") from None

    def succeed(self, rpc: Rpc) -> None:
        """End a call well."""
        if not rpc.answering:
            rpc.answering = True
            self._h2.send_headers(rpc.number, response_headers(rpc.call.id))
        self._h2.send_headers(rpc.number, trailers("OK"), end_stream=True)
        self._watch.earn(16)
        self._resets = max(0, self._resets - 1)
        self._end_reading(rpc.number, rpc.complete)
        self._forget(rpc)
        self._settle()

    def refuse(self, rpc: Rpc, error: BaseException) -> None:
        """End a call with an error, be it whole or not."""
        if rpc.number not in self.rpcs:
            return
        self._answer_refusal(rpc.number, error, rpc.call.id, rpc.complete, rpc.answering)
        self._forget(rpc)
        self._calls.failed(rpc, error)
        self._settle()

    def _answer_refusal(
        self, number: int, error: BaseException, request_id: str, complete: bool, answering: bool = False
    ) -> None:
        status, text = status_of(error), public_text(error)
        try:
            lines = trailers(status.grpc, text) if answering else trailers_only(status, text, request_id)
            self._h2.send_headers(number, lines, end_stream=True)
            self._end_reading(number, complete)
        except ProtocolError:  # reset by the client, in what is still to be read
            return

    def _end_reading(self, number: int, complete: bool) -> None:
        """Have the client stop sending what nobody reads any more (RFC 9113, section 8.1)."""
        if not complete:
            self._h2.reset_stream(number, ErrorCodes.NO_ERROR)

    def _settle(self) -> None:
        self.flush()
        if self._listener.leaving and not self.rpcs:
            self.leave()

    def flush(self) -> None:
        """Write what h2 has for the client."""
        self._write(self._h2.data_to_send())

    def _write(self, data: bytes) -> None:
        if data and not self._closing_since and not self.transport.is_closing():
            self.transport.write(data)

    # ---- ending

    def go_away(self, code: ErrorCodes | int = ErrorCodes.NO_ERROR, last: int | None = None) -> None:
        """Ask the client to open no more calls here. h2's own GOAWAY would end those that are open."""
        frame = GoAwayFrame(0)
        frame.last_stream_id = self._h2.highest_inbound_stream_id if last is None else last
        frame.error_code = int(code)
        self.flush()
        self._write(frame.serialize())

    def ask_for_no_more(self) -> None:
        """Announce the end to the client; what it has sent, and may be sending, is still answered."""
        self.go_away(last=(1 << 31) - 1)

    def leave(self) -> None:
        """Say goodbye to a client that has all its answers."""
        self.go_away()
        self.finish()

    def end(self, error: ServeError, code: ErrorCodes | int) -> None:
        """Refuse the client as a whole."""
        self._calls.refused(error)
        self.go_away(code)
        self.finish()
        for rpc in list(self.rpcs.values()):
            self._drop(rpc)

    def finish(self) -> None:
        """Close for writing, and throw away what the client still sends: a reset could overtake our last answer."""
        if not self._closing_since and not self.transport.is_closing():
            self._closing_since = time.monotonic()
            self.transport.write_eof()
            self.transport.resume_reading()

    def check(self, now: float) -> None:
        """End what has taken too long."""
        limits, watch = self._limits, self._watch
        watch.earn(SERVE_SPARE_FRAMES // 32)
        if self._stuck_since or self._closing_since:
            patience = limits.write_seconds if self._stuck_since else SERVE_LINGER_SECONDS
            if now > max(self._stuck_since, self._closing_since) + patience:
                self.transport.abort()
        elif watch.block_since and now > watch.block_since + limits.header_seconds:
            text = f"the headers took longer than {limits.header_seconds:g} s, the limit (--header-seconds)"
            self.end(TooSlow(text), ErrorCodes.ENHANCE_YOUR_CALM)
        elif watch.since and now > watch.since + limits.body_seconds:
            text = f"a frame took longer than {limits.body_seconds:g} s, the limit (--body-seconds)"
            self.end(TooSlow(text), ErrorCodes.ENHANCE_YOUR_CALM)
        elif self._quiet_since:
            if now > self._quiet_since + (SERVE_GRPC_IDLE_SECONDS if self._greeted else limits.header_seconds):
                self.leave()
        else:
            for rpc in [rpc for rpc in self.rpcs.values() if not rpc.complete and now > rpc.deadline]:
                self.refuse(rpc, TooSlow(f"the message was not whole in time: {rpc.patience:g} s (--body-seconds)"))
