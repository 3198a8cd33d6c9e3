"""The queue of texts, with a generator that is stepped by hand: joining, leaving, failing, in every order."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from ovenbird_runtime.errors import EngineCallFailed
from ovenbird_runtime.generation.search import SearchSettings, search_for
from ovenbird_runtime.generation.text import TextRequest
from ovenbird_runtime.generation.wordpiece import WordPieces
from ovenbird_runtime.manifest.generation import Greedy
from ovenbird_runtime.serve.errors import DeadlineExceeded, NotReady
from ovenbird_runtime.serve.models.text_costs import TextCosts
from ovenbird_runtime.serve.models.text_queue import PendingText, TextQueue

BEGIN, END = 0, 9
PICTURE = np.zeros((1, 1), np.float32)


class Generator:
    """Room for `room` texts; each ends at its length. `fails` says which calls of what fail."""

    def __init__(self, room: int, fails: Callable[[str], bool] = lambda what: False) -> None:
        self.room, self.fails = room, fails
        self.texts: list[Any] = []
        self.most = 0

    def has_room(self, request: TextRequest) -> bool:
        return len(self.texts) < self.room

    def prepare(self, picture: Any) -> list[Any]:
        if self.fails("prepare"):
            raise EngineCallFailed("no picture")
        return [{}]

    def begin(self, prepared: Any, request: TextRequest) -> Any:
        assert self.has_room(request)
        search = search_for(request.kind, request.settings, request.prompt)
        text = SimpleNamespace(request=request, search=search, failure=None)
        hashed = cast(Any, _Text)(**vars(text))
        self.texts.append(hashed)
        self.most = max(self.most, len(self.texts))
        return hashed

    def drop(self, text: Any) -> None:
        self.texts.remove(text)

    def step(self) -> list[Any]:
        if self.fails("step"):
            raise EngineCallFailed("no step")
        logits = np.eye(10, dtype=np.float32)[[5]]
        for text in self.texts:
            text.search.advance(logits)
            if self.fails("numbers"):
                text.failure = EngineCallFailed("no number")
        done = [text for text in self.texts if text.search.done or text.failure is not None]
        for text in done:
            self.texts.remove(text)
        return done


class _Text(SimpleNamespace):
    """A text in flight, told apart by what it is."""

    __hash__ = object.__hash__  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return self is other


class Events:
    """Counts."""

    def __init__(self) -> None:
        self.steps = self.texts = 0
        self.errors: list[BaseException] = []

    def stepped(self, texts: int, seconds: float) -> None:
        self.steps += 1

    def wrote(self, entry: PendingText) -> None:
        self.texts += 1

    def failed(self, error: BaseException) -> None:
        self.errors.append(error)


def make(generator: Generator) -> tuple[TextQueue, Events]:
    events = Events()
    pieces = WordPieces([f"w{number}" for number in range(10)])
    loop = SimpleNamespace(end=(END,), logits="logits")
    writer = SimpleNamespace(generator=generator, pieces=pieces, loop=loop)
    return TextQueue(cast(Any, writer), events, TextCosts(0.01, 0.01, 4)), events


def pending(length: int, seconds: float = 30.0, written: Any = None) -> PendingText:
    request = TextRequest((BEGIN,), Greedy(), SearchSettings((END,), length))
    deadline, future = time.monotonic() + seconds, asyncio.get_running_loop().create_future()
    return PendingText(PICTURE, request, deadline, future, written)


def run(work: Callable[[], Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work(), 60))


def test_each_text_is_written_to_its_own_length() -> None:
    async def work() -> None:
        generator = Generator(room=3)
        queue, events = make(generator)
        entries = [pending(length) for length in (2, 9, 4, 3, 7, 2, 5)]
        for entry in entries:
            queue.submit(entry)
        answers = [await entry.future for entry in entries]
        assert [len(cast(Any, answer.tokens)) for answer in answers] == [2, 9, 4, 3, 7, 2, 5]
        assert all(answer.finish == "length" for answer in answers)
        assert (generator.most <= 3, generator.texts, events.texts) == (True, [], 7)
        await asyncio.to_thread(queue.close, 10.0)

    run(work)


def test_tokens_come_as_they_are_chosen() -> None:
    async def work() -> None:
        queue, _ = make(Generator(room=1))
        seen: list[tuple[int, ...]] = []
        entry = pending(6, written=seen.append)
        queue.submit(entry)
        answer = await entry.future
        assert seen == [answer.tokens[:count] for count in range(2, 6)]  # type: ignore[index]
        await asyncio.to_thread(queue.close, 10.0)

    run(work)


@pytest.mark.parametrize("what", ["prepare", "step", "numbers"])
def test_what_fails_is_answered_and_the_next_is_written(what: str) -> None:
    async def work() -> None:
        failing = [True]
        generator = Generator(2, lambda asked: asked == what and failing[0])
        queue, events = make(generator)
        first = pending(5)
        queue.submit(first)
        with pytest.raises(EngineCallFailed):
            await first.future
        failing[0] = False
        second = pending(5)
        queue.submit(second)
        assert len((await second.future).tokens) == 5
        assert (len(events.errors), generator.texts) == (1, [])
        await asyncio.to_thread(queue.close, 10.0)

    run(work)


def test_time_that_is_over_ends_a_text_and_frees_its_room() -> None:
    async def work() -> None:
        gate = threading.Event()
        generator = Generator(1, lambda asked: bool(asked == "step" and not gate.wait(20)))
        queue, _ = make(generator)
        flying, waiting, left = pending(9, 0.05), pending(9, 0.05), pending(9)
        for entry in (flying, waiting, left):
            queue.submit(entry)
        await asyncio.sleep(0.1)
        left.future.cancel()
        gate.set()
        for entry in (flying, waiting):
            with pytest.raises(DeadlineExceeded):
                await entry.future
        last = pending(3)
        queue.submit(last)
        await last.future
        assert generator.texts == []
        await asyncio.to_thread(queue.close, 10.0)

    run(work)


def test_a_text_that_nobody_waits_for_is_let_go() -> None:
    async def work() -> None:
        gate = threading.Event()
        generator = Generator(1, lambda asked: bool(asked == "step" and not gate.wait(20)))
        queue, _ = make(generator)
        flying, last = pending(10**9, 1000.0), pending(3, 1000.0)
        queue.submit(flying)
        await asyncio.sleep(0.1)
        flying.future.cancel()
        gate.set()
        queue.submit(last)
        await asyncio.wait_for(last.future, 30)
        assert generator.texts == []
        await asyncio.to_thread(queue.close, 10.0)

    run(work)


def test_a_queue_that_closes_writes_what_it_has_and_takes_nothing() -> None:
    async def work() -> None:
        queue, _ = make(Generator(2))
        entries = [pending(8) for _ in range(5)]
        for entry in entries:
            queue.submit(entry)
        closing = asyncio.ensure_future(asyncio.to_thread(queue.close, 20.0))
        assert [len((await entry.future).tokens) for entry in entries] == [8] * 5
        await closing
        with pytest.raises(NotReady):
            queue.submit(pending(3))

    run(work)


@pytest.mark.parametrize("seed", range(8))
def test_every_entry_is_answered_in_any_order(seed: int) -> None:
    """Entries of random lengths come at random times; some are cancelled, some calls fail: nobody waits for ever."""

    async def work() -> None:
        draw = random.Random(seed)
        chance = random.Random(seed + 100)
        generator = Generator(draw.randint(1, 4), lambda what: chance.random() < 0.02)
        queue, _ = make(generator)
        entries = []
        for _ in range(60):
            entry = pending(draw.randint(2, 9), draw.choice((30.0, 30.0, 0.001)))
            entries.append(entry)
            queue.submit(entry)
            if draw.random() < 0.2:
                draw.choice(entries).future.cancel()
            if draw.random() < 0.5:
                await asyncio.sleep(0)
        for entry in entries:
            try:
                answer = await entry.future
            except (DeadlineExceeded, EngineCallFailed, asyncio.CancelledError):
                continue
            assert len(cast(Any, answer.tokens)) == entry.request.settings.max_length
        await asyncio.to_thread(queue.close, 10.0)
        assert (generator.texts, queue.waiting) == ([], 0)

    run(work)


def test_what_pictures_and_tokens_take_is_learned() -> None:
    async def work() -> None:
        queue, _ = make(Generator(4))
        costs = queue._costs
        for _, length in itertools.product(range(20), (3, 4)):
            entry = pending(length)
            queue.submit(entry)
            await entry.future
        assert 0.0 < costs.picture < 0.01
        assert 0.0 < costs.token < 0.01
        await asyncio.to_thread(queue.close, 10.0)

    run(work)
