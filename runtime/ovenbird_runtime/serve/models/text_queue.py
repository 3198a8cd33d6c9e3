"""Texts of all clients at once: each joins at the next step, leaves at its last, and waits for no other's end.

    queue = TextQueue(writer, events, TextCosts(0.4, 0.01, 20))
    entry = PendingText(picture, request, deadline, loop.create_future())
    queue.submit(entry)
    answer = await entry.future             # TextAnswer

One thread owns the generator: what is in flight is its alone. Before each step it lets go of texts whose time is over
or whose client has left, and begins one that waits: a picture takes as long as some steps, and more of them at one time
would hold up all texts that others read as they come.

First come, first served: a text that finds no room waits, and so do those behind it. Each takes at most as many steps
as its length, so that room comes, and nobody starves.

Invariant: **while an entry waits or is in flight, the thread runs, or is awake.** It sleeps only where it saw, holding
the condition, that nothing waits and nothing is in flight; every `submit` wakes it, and so does `close`. What it does
between two looks ends: it waits for nobody. `tests/unit/runtime/serve/models/test_text_queue.py` walks through every
order of joining, leaving and failing.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from ...dataclass import dataclass
from ...errors import EngineError, OvenbirdError
from ...generation.generator import BegunText
from ...generation.text import TextRequest, text_of
from ...generation.writer import TextWriter
from ...postprocess.text import TextAnswer
from ...tensors.arrays import Array
from ..errors import DeadlineExceeded, NotReady
from .text_costs import TextCosts

Written = Callable[[tuple[int, ...]], None]
"""Takes all tokens of a text so far."""


@dataclass(eq=False)
class PendingText:
    """A picture and the text that is wanted for it; times of `time.monotonic`."""

    picture: Array
    """[1, ...], as the first program takes it."""
    request: TextRequest
    deadline: float
    future: asyncio.Future[TextAnswer]
    written: Written | None = None
    """Called on the event loop with all tokens so far, whenever there are more; not of a beam search, which may choose
    otherwise in the end."""
    queued: float = 0.0
    started: float = 0.0
    finished: float = 0.0
    batch: int = 0
    """Texts in flight at its end."""


class TextEvents(Protocol):
    """What a queue of texts reports, all of it from its thread."""

    def stepped(self, texts: int, seconds: float) -> None:
        """Report a step of all texts in flight."""

    def wrote(self, entry: PendingText) -> None:
        """Report a text that is done."""

    def failed(self, error: BaseException) -> None:
        """Report work that the engine did not do."""


class TextQueue:
    """The texts that wait, those in flight, and the thread that writes them."""

    def __init__(self, writer: TextWriter, events: TextEvents, costs: TextCosts) -> None:
        """Begin with nothing; `costs` learns what texts take."""
        self._writer, self._events = writer, events
        self._loop = asyncio.get_running_loop()
        self._condition = threading.Condition()
        self._waiting: deque[PendingText] = deque()
        self._flying: dict[BegunText, PendingText] = {}
        self._closing = False
        self._busy_since = 0.0
        self._costs = costs
        self._thread = threading.Thread(target=self._serve, name="ovenbird-texts", daemon=True)
        self._thread.start()

    # ---- those who bring work: the event loop, and threads that prepare pictures

    def submit(self, entry: PendingText) -> None:
        """Queue an entry. Raises NotReady where the queue is closed."""
        entry.queued = time.monotonic()
        with self._condition:
            if self._closing:
                raise NotReady("the model is being stopped", retry_after=1)
            self._waiting.append(entry)
            self._condition.notify()

    @property
    def waiting(self) -> int:
        """Texts that have not begun."""
        return len(self._waiting)

    def busy_seconds(self) -> float:
        """Return how long the call into the engine that runs has run."""
        since = self._busy_since
        return time.monotonic() - since if since else 0.0

    def close(self, seconds: float) -> None:
        """Write what waits and is in flight, then stop; blocks for at most `seconds`, and drops the rest."""
        with self._condition:
            self._closing = True
            self._condition.notify()
        self._thread.join(seconds)
        if not self._thread.is_alive():
            del self._writer, self._events  # the model goes with its last request: its weights are mapped

    # ---- the thread's side

    def _serve(self) -> None:
        while self._wait():
            try:
                self._round()
            except Exception as error:  # noqa: BLE001 - whatever it is, the thread lives, and clients get an answer
                self._fail_all(error)

    def _wait(self) -> bool:
        """Sleep while there is nothing to do; return False at the end."""
        with self._condition:
            while not self._waiting and not self._flying:
                if self._closing:
                    return False
                self._condition.wait()
        return True

    def _round(self) -> None:
        """Drop, begin, step."""
        start = time.monotonic()
        self._drop_late(start)
        entry = self._next()
        if entry is not None:
            self._begin(entry)
        if not self._flying:
            return
        count, begun = len(self._flying), time.monotonic()
        with self._in_engine():
            done = self._writer.generator.step()
        now = time.monotonic()
        self._costs.stepped(now - begun, count)
        self._events.stepped(count, now - start)
        for text in done:
            self._finish(self._flying.pop(text), text, count, now)
        for text, flying in self._flying.items():
            chosen = text.search.position >= len(text.request.prompt)
            if flying.written is not None and chosen and text.request.width == 1:
                self._loop.call_soon_threadsafe(flying.written, text.search.result)

    def _drop_late(self, now: float) -> None:
        """Let go of texts that nobody waits for any more, those that wait among them."""
        with self._condition:
            late = [entry for entry in self._waiting if entry.future.done() or entry.deadline <= now]
            for entry in late:
                self._waiting.remove(entry)
        for text, entry in list(self._flying.items()):
            if entry.future.done() or entry.deadline <= now:
                self._writer.generator.drop(text)
                late.append(self._flying.pop(text))
        for entry in late:
            self._answer(entry, DeadlineExceeded("the request's time was over before its text was written"))

    def _next(self) -> PendingText | None:
        """Take the first entry, where there is room for it now."""
        with self._condition:
            if not self._waiting or not self._writer.generator.has_room(self._waiting[0].request):
                return None
            return self._waiting.popleft()

    def _begin(self, entry: PendingText) -> None:
        """Look at a picture and let its text join; one that fails fails alone."""
        entry.started = time.monotonic()
        try:
            with self._in_engine():
                (prepared,) = self._writer.generator.prepare(entry.picture)
            text = self._writer.generator.begin(prepared, entry.request)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this client's answer
            if not isinstance(error, OvenbirdError) or isinstance(error, EngineError):
                self._events.failed(error)
            self._answer(entry, error)
            return
        self._flying[text] = entry
        self._costs.began(time.monotonic() - entry.started)

    def _finish(self, entry: PendingText, text: BegunText, count: int, now: float) -> None:
        entry.finished, entry.batch = now, count
        if text.failure is not None:
            self._events.failed(text.failure)
            self._answer(entry, text.failure)
            return
        self._events.wrote(entry)  # first: who has an answer finds it counted
        self._answer(entry, text_of(self._writer.pieces, text.search.result, self._writer.loop))

    def _fail_all(self, error: BaseException) -> None:
        """Answer all texts in flight with an error: a step that failed took none of them further."""
        self._events.failed(error)
        for text, entry in self._flying.items():
            self._writer.generator.drop(text)
            self._answer(entry, error)
        self._flying.clear()

    def _answer(self, entry: PendingText, answer: TextAnswer | BaseException) -> None:
        self._loop.call_soon_threadsafe(_deliver, entry.future, answer)

    @contextmanager
    def _in_engine(self) -> Iterator[None]:
        self._busy_since = time.monotonic()
        try:
            yield
        finally:
            self._busy_since = 0.0


def _deliver(future: asyncio.Future[TextAnswer], answer: TextAnswer | BaseException) -> None:
    if future.done():
        return
    if isinstance(answer, BaseException):
        future.set_exception(answer)
    else:
        future.set_result(answer)
