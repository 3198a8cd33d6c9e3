"""One client's connection: requests are read, answered in order, and accounted for, under the limits' deadlines.

What it reads has a phase, each with a deadline that its listener sweeps: waiting for a request (keep-alive),
headers, a body, and, after a refusal, nothing more. Answers are written by one task, in the order of the
requests, which it owns from their last byte to their answer's; what a client pipelines meanwhile waits in a queue
that only the event loop touches, `SERVE_PIPELINED_REQUESTS` at most. Whatever a client makes this server hold,
requests that come, wait or are answered and answers that are not read, is counted in the `Account`.

    loop.create_server(lambda: HttpConnection(listener, handle, refuse), "127.0.0.1", 8000)
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import cast

from ...limits import SERVE_LINGER_SECONDS, SERVE_PIPELINED_REQUESTS
from .account import PIECE_BYTES
from .errors import BadRequest, ServeError, ServerFull, TooSlow
from .listener import Listener, Peer
from .messages import Pieces, Request, Response
from .reader import Reader

Handle = Callable[[Request], Awaitable[Response]]
Refuse = Callable[[Request, ServeError], Response]


class Phase(Enum):
    """What a connection reads; the values are what messages say."""

    IDLE = "waiting for a request"
    HEADERS = "reading headers"
    BODY = "reading a body"
    REFUSED = "reading nothing more"
    CLOSING = "closing"


class HttpConnection(Peer):
    """The protocol object that asyncio makes for each client."""

    def __init__(self, listener: Listener[HttpConnection], handle: Handle, refuse: Refuse) -> None:
        """Belong to `listener`; have requests answered by `handle`, and what is none by `refuse`."""
        self._listener, self._limits, self._account = listener, listener.limits, listener.account
        self._handle, self._refusal_of = handle, refuse
        self._reader = Reader(listener.limits, self._begun, self._complete)
        self._refusal: ServeError | None = None
        self._waiting: deque[Request] = deque()
        self._task: asyncio.Task[None] | None = None
        self._answering: Request | None = None
        self._continue_due = self._dense = False
        self._sending = self._counted = 0
        self._stuck_since = 0.0
        self._resumed: asyncio.Future[None] | None = None
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)
        self.phase, self.deadline = Phase.IDLE, 0.0

    # ---- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or refuse it where there are too many."""
        self.transport = cast(asyncio.Transport, transport)
        self._enter(Phase.IDLE, self._limits.header_seconds)
        try:
            self._listener.admit(self)
        except ServerFull as error:
            self._refuse(error)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the server's one buffer: what is read is taken before the next connection's turn."""
        return self._listener.reading.room(self._dense)

    def buffer_updated(self, nbytes: int) -> None:
        """Take what came."""
        if self.phase in (Phase.REFUSED, Phase.CLOSING):
            return
        reader = self._reader
        if self.phase is Phase.IDLE:
            self._enter(Phase.HEADERS, self._limits.header_seconds)
            reader.request.started = time.monotonic()
        parts = reader.parts
        try:
            reader.feed(self._listener.reading.memory[:nbytes])
            if self._recount() > 0:
                self._account.check_room()
        except ServeError as error:
            self._refuse(error)
        self._dense = self._listener.reading.spent(nbytes, reader.parts - parts)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client, and drop what it still wanted."""
        self.phase = Phase.CLOSING
        self._reader.drop()
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()
        self._sending = 0
        self._recount()
        self._listener.forget(self)

    def pause_writing(self) -> None:
        """Begin to count how long a client does not read its answer."""
        self._stuck_since = self._stuck_since or time.monotonic()
        self._resumed = self._listener.loop.create_future()

    def resume_writing(self) -> None:
        """Go on with the answer, or stop that count at its end."""
        if self._resumed is not None and not self._resumed.done():
            self._resumed.set_result(None)
        if not self._sending:
            self._stuck_since = 0.0

    # ---- the reader's side

    def _begun(self, request: Request) -> None:
        """Go on from headers to a body."""
        self._enter(Phase.BODY, self._limits.body_seconds)
        self._continue_due = (
            request.has_body and request.version != "1.0" and request.header("expect").lower() == "100-continue"
        )
        self._continue()

    def _complete(self, request: Request) -> None:
        """Have a whole request answered, after those before it. Raises ServerFull, BadRequest."""
        request.holder = self._hold
        self._waiting.append(request)
        self._continue_due = False
        try:
            if self._recount() > 0:
                self._account.check_room()
        except ServerFull:
            self._waiting.pop()
            raise
        if len(self._waiting) > SERVE_PIPELINED_REQUESTS:
            raise BadRequest(f"more than {SERVE_PIPELINED_REQUESTS} requests without waiting for an answer")
        self._enter(Phase.IDLE, 0)
        if self._task is None:
            self._task = self._listener.loop.create_task(self._answer_all())

    def _continue(self) -> None:
        """Ask for the body that a client holds back, once what it asked for before is answered."""
        if self._continue_due and self._task is None:
            self._continue_due = False
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    # ---- accounting

    def _recount(self) -> int:
        """Count what this client makes the server hold; return how much more that is than it was."""
        held = self._reader.held + self._sending + sum(request.held for request in self._waiting)
        if self._answering is not None:
            held += self._answering.held
        more, self._counted = held - self._counted, held
        self._account.held += more
        return more

    def _hold(self, request: Request, size: int) -> None:
        """Count what was made of a request's body. Raises ServerFull."""
        request.more_bytes += size
        if self._recount() > 0:
            self._account.check_room()

    # ---- answering

    async def _answer_all(self) -> None:
        try:
            while self._waiting and not self.transport.is_closing():
                request = self._answering = self._waiting.popleft()
                response = await self._handle(request)
                request.body, self._answering = b"", None
                await self._send(request, response)
                if self.phase is Phase.REFUSED and self._refusal is None:
                    return
        finally:
            self._task = self._answering = None
            self._recount()
        if self._refusal is not None:
            self._refuse(self._refusal)
        elif self.phase is Phase.IDLE:
            self._enter(Phase.IDLE, self._limits.keep_alive_seconds)
        self._continue()

    async def _send(self, request: Request, response: Response) -> None:
        """Write an answer as the client reads it, so that no more of it is held than the answer itself."""
        if response.pieces is not None:
            await self._send_pieces(request, response, response.pieces)
            return
        keep = request.keep_alive and not self._listener.draining
        head = response.head(keep)
        body = b"" if request.method == "HEAD" else response.body
        if len(body) < PIECE_BYTES:
            self.transport.write(head + body)
            await self._until_read(self.transport.get_write_buffer_size())
        else:
            self.transport.write(head)
            view = memoryview(body)
            for start in range(0, len(body), PIECE_BYTES):
                self.transport.write(view[start : start + PIECE_BYTES])
                await self._until_read(len(body))
        self._sent(keep)

    async def _send_pieces(self, request: Request, response: Response, pieces: Pieces) -> None:
        """Write a body as it is made, each piece as a chunk."""
        chunked = request.version != "1.0"
        keep = chunked and request.keep_alive and not self._listener.draining
        error: BaseException | None = None
        try:
            self.transport.write(response.head(keep, chunked))
            while (piece := await pieces.next()) is not None:
                self.transport.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
                await self._until_read(self.transport.get_write_buffer_size())
            if chunked:
                self.transport.write(b"0\r\n\r\n")
        except BaseException as problem:
            error = problem
            self.transport.abort()  # who has a part must not take it for the whole
            raise
        finally:
            pieces.close(error)
        self._sent(keep)

    def _sent(self, keep: bool) -> None:
        """Begin to wait for the next request, or close."""
        self._sending, self._stuck_since = 0, 0.0
        self._recount()
        if not keep:
            self._refusal = None
            self._linger()

    async def _until_read(self, held: int) -> None:
        """Wait until the client has taken what was written, all but a little; the time it has for that is swept."""
        self._sending = held
        self._recount()
        if self._stuck_since and self._resumed is not None:
            await self._resumed

    # ---- refusing

    def _refuse(self, error: ServeError) -> None:
        """Answer an error to what is no request, after the answers to what came before it, and close."""
        self._reader.drop()
        self._recount()
        self._refusal = error
        self._enter(Phase.REFUSED, 0)
        if self._task is not None:  # it ends with this refusal
            return
        self._refusal = None
        response = self._refusal_of(self._reader.request, error)
        self.transport.write(response.head(False) + response.body)
        self._linger()

    def _linger(self) -> None:
        """Close for writing; throw away what the client still sends, so that it gets to read the answer."""
        if self.transport.is_closing():
            return
        self.transport.write_eof()
        self._enter(Phase.REFUSED, SERVE_LINGER_SECONDS)

    # ---- time

    def _enter(self, phase: Phase, seconds: float) -> None:
        """Enter a phase; 0 seconds means that it has no deadline of its own."""
        self.phase = phase
        self.deadline = time.monotonic() + seconds if seconds else 0.0

    def check(self, now: float) -> None:
        """End what has taken too long."""
        if self._stuck_since and now > self._stuck_since + self._limits.write_seconds:
            self.transport.abort()
        elif not self.deadline or now < self.deadline:
            return
        elif self.phase is Phase.HEADERS:
            limit = self._limits.header_seconds
            self._refuse(TooSlow(f"the headers took longer than {limit:g} s, the limit (--header-seconds)"))
        elif self.phase is Phase.BODY:
            limit = self._limits.body_seconds
            self._refuse(TooSlow(f"the body took longer than {limit:g} s, the limit (--body-seconds)"))
        elif self.phase is Phase.IDLE:
            self.close()
        else:
            self.transport.abort()

    def close(self) -> None:
        """Close once what was written has gone out, or its time is over."""
        self.transport.close()
        self._enter(Phase.CLOSING, self._limits.write_seconds)

    @property
    def quiet(self) -> bool:
        """Whether nothing of this client is being read or answered."""
        return self._task is None and self.phase in (Phase.IDLE, Phase.REFUSED)
