"""The batcher with functions in the engine's place: its threads, its queue and its clock are real."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from ovenbird_runtime.engine.learning import Lanes
from ovenbird_runtime.errors import EngineCallFailed
from ovenbird_runtime.serve.errors import DeadlineExceeded, NotReady
from ovenbird_runtime.serve.models.batcher import Batcher, Pending
from ovenbird_runtime.serve.models.batching import Costs

Array = np.ndarray[Any, Any]
COSTS = Costs({1: 2000.0, 4: 2500.0}, 64)


class Seen:
    """What the batcher reported."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.sizes: list[int] = []
        self.failures = 0

    def ran(self, images: int, size: int, seconds: float, waits: list[float]) -> None:
        self.batches.append(images)
        self.sizes.append(size)

    def failed(self, error: BaseException) -> None:
        self.failures += 1


def doubled(rows: int, arrays: Mapping[str, Array], crowded: bool) -> dict[str, Array]:
    assert len(arrays["x"]) == rows
    return {"y": arrays["x"] * 2}


def entry(value: float, seconds: float = 5.0, rows: int = 1) -> Pending:
    future: asyncio.Future[dict[str, Array]] = asyncio.get_running_loop().create_future()
    return Pending(rows, {"x": np.full((rows, 2), value, np.float32)}, time.monotonic() + seconds, future)


def submit(batcher: Batcher, one: Pending) -> Pending:
    batcher.expect(one.rows)
    batcher.submit(one)
    return one


async def gathered(batcher: Batcher, entries: list[Pending]) -> list[Any]:
    for one in entries:
        submit(batcher, one)
    return await asyncio.gather(*(one.future for one in entries), return_exceptions=True)


def run(work: Any) -> Any:
    return asyncio.run(asyncio.wait_for(work, 20))


def test_each_gets_its_own_answer() -> None:
    async def work() -> None:
        seen = Seen()
        batcher = Batcher(doubled, {(): COSTS}, 2, 0.001, seen, merge=True)
        entries = [entry(i, rows=1 + i % 3) for i in range(200)]
        answers = await gathered(batcher, entries)
        for i, answer in enumerate(answers):
            assert answer["y"].shape == (1 + i % 3, 2)
            assert (answer["y"] == 2 * i).all()
        batcher.close(5)
        assert sum(seen.batches) == sum(one.rows for one in entries)
        assert batcher.waiting == 0

    run(work())


def test_images_and_what_was_computed_are_reported() -> None:
    async def work() -> None:
        seen = Seen()
        batcher = Batcher(doubled, {(): Costs({4: 1.0}, 64)}, 1, 0.0, seen, merge=True)
        for rows in (1, 3, 4, 6):
            await gathered(batcher, [entry(0, rows=rows)])
        batcher.close(5)
        assert seen.batches == [1, 3, 4, 6]
        assert seen.sizes == [4, 4, 4, 8]

    run(work())


@pytest.mark.alone
def test_lone_request_does_not_wait() -> None:
    async def work() -> None:
        batcher = Batcher(doubled, {(): COSTS}, 1, 5.0, Seen(), merge=True)
        start = time.monotonic()
        await submit(batcher, entry(1)).future
        assert time.monotonic() - start < 1
        batcher.close(5)

    run(work())


@pytest.mark.alone
def test_request_waits_for_those_on_their_way_and_no_longer() -> None:
    async def work() -> None:
        seen = Seen()
        batcher = Batcher(doubled, {(): COSTS}, 1, 1.0, seen, merge=True)
        batcher.expect(2)  # two more are being decoded
        first = submit(batcher, entry(1))
        await asyncio.sleep(0.05)
        assert not first.future.done()
        batcher.submit(entry(2))
        batcher.expect(-1)  # the other one is no image: nothing is left to wait for
        start = time.monotonic()
        await first.future
        assert time.monotonic() - start < 0.8
        assert seen.batches == [2]
        batcher.expect(1)
        start = time.monotonic()
        await submit(batcher, entry(3)).future
        assert 0.9 < time.monotonic() - start < 5
        batcher.close(5)

    run(work())


def test_expired_and_abandoned_never_reach_the_model() -> None:
    async def work() -> None:
        calls: list[float] = []
        gate = threading.Event()

        def slow(rows: int, arrays: Mapping[str, Array], crowded: bool) -> dict[str, Array]:
            calls.extend(arrays["x"][:, 0].tolist())
            gate.wait(5)
            return {"y": arrays["x"]}

        batcher = Batcher(slow, {(): COSTS}, 1, 0.0, Seen(), merge=True)
        first = submit(batcher, entry(1))
        await asyncio.sleep(0.05)
        late, gone = submit(batcher, entry(2, seconds=0.05)), submit(batcher, entry(3))
        last = submit(batcher, entry(4))
        gone.future.cancel()
        await asyncio.sleep(0.1)
        gate.set()
        await asyncio.gather(first.future, last.future)
        with pytest.raises(DeadlineExceeded):
            await late.future
        assert calls == [1.0, 4.0]
        batcher.close(5)

    run(work())


def test_one_that_breaks_the_engine_fails_alone() -> None:
    async def work() -> None:
        def fragile(rows: int, arrays: Mapping[str, Array], crowded: bool) -> dict[str, Array]:
            if (arrays["x"] == 13).any():
                raise EngineCallFailed("13")
            return {"y": arrays["x"]}

        seen = Seen()
        batcher = Batcher(fragile, {(): COSTS}, 1, 0.0, seen, merge=True)
        batcher.expect(1)  # holds the first batch until all four are there
        answers = await gathered(batcher, [entry(value) for value in (1, 13, 2)])
        assert isinstance(answers[1], EngineCallFailed)
        assert answers[0]["y"][0, 0] == 1
        assert answers[2]["y"][0, 0] == 2
        assert seen.failures >= 1
        batcher.close(5)

    run(work())


def test_thread_survives_any_error() -> None:
    async def work() -> None:
        def broken(rows: int, arrays: Mapping[str, Array], crowded: bool) -> dict[str, Array]:
            raise ZeroDivisionError

        batcher = Batcher(broken, {(): COSTS}, 1, 0.0, Seen(), merge=True)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await submit(batcher, entry(1)).future
        batcher.close(5)

    run(work())


def test_hung_call_is_seen() -> None:
    async def work() -> None:
        gate = threading.Event()

        def hung(rows: int, arrays: Mapping[str, Array], crowded: bool) -> dict[str, Array]:
            gate.wait(10)
            return {"y": arrays["x"]}

        batcher = Batcher(hung, {(): COSTS}, 1, 0.0, Seen(), merge=True)
        assert batcher.busy_seconds() == 0
        one = submit(batcher, entry(1))
        await asyncio.sleep(0.1)
        assert batcher.busy_seconds() > 0.05
        gate.set()
        await one.future
        await asyncio.sleep(0.05)
        assert batcher.busy_seconds() == 0
        batcher.close(5)

    run(work())


def test_close_finishes_what_is_queued_and_takes_no_more() -> None:
    async def work() -> None:
        batcher = Batcher(doubled, {(): COSTS}, 1, 0.0, Seen(), merge=True)
        entries = [submit(batcher, entry(i)) for i in range(20)]
        await asyncio.to_thread(batcher.close, 5)
        await asyncio.gather(*(one.future for one in entries))
        with pytest.raises(NotReady):
            submit(batcher, entry(1))

    run(work())


def test_without_a_batch_dimension_each_runs_by_itself() -> None:
    async def work() -> None:
        seen = Seen()
        batcher = Batcher(doubled, {(): COSTS}, 1, 0.1, seen, merge=False)
        await gathered(batcher, [entry(i) for i in range(6)])
        assert seen.batches == [1] * 6
        batcher.close(5)

    run(work())


def test_lanes_run_beside_each_other() -> None:
    async def work() -> None:
        meeting = threading.Barrier(2, timeout=5)
        reported: list[bool] = []

        def together(rows: int, arrays: Mapping[str, Array], crowded: bool) -> dict[str, Array]:
            reported.append(crowded)
            meeting.wait()  # alone it would never end
            return {"y": arrays["x"]}

        seen = Seen()
        batcher = Batcher(together, {(): Costs({1: 20.0, 4: 90.0}, 64, Lanes(2, 34.0))}, 1, 1.0, seen, merge=True)
        answers = await gathered(batcher, [entry(i) for i in range(8)])
        assert [answer["y"][0, 0] for answer in answers] == list(range(8))
        assert seen.batches == [1] * 8
        assert sum(reported) >= 6  # all but the first, and perhaps the last, knew of others
        batcher.close(5)

    run(work())


def test_images_of_one_size_are_a_batch_and_none_waits_for_ever() -> None:
    """Requests of two sizes take turns by who came first; those of a size leave together."""
    small, large = (32, 32), (64, 64)
    batches: list[tuple[int, ...]] = []

    def noted(rows: int, arrays: Any, crowded: bool) -> dict[str, Any]:
        batches.append(arrays["x"].shape)
        return {"y": arrays["x"] * 2}

    async def work() -> None:
        costs = Costs({1: 2000.0, 4: 2500.0}, 64)
        batcher = Batcher(noted, {small: costs, large: costs}, 1, 0.05, Seen(), merge=True)
        loop = asyncio.get_running_loop()
        order = [small, large, small, large, large, small]
        for size in order:
            batcher.expect(1, size)
        entries = [
            Pending(1, {"x": np.full((1, *size), place, np.float32)}, 1e12, loop.create_future(), size=size)
            for place, size in enumerate(order)
        ]
        for entry in entries:
            batcher.submit(entry)
        for place, entry in enumerate(entries):
            outputs = await entry.future
            assert outputs["y"].shape == (1, *order[place])
            assert (outputs["y"] == 2 * place).all()
        await asyncio.to_thread(batcher.close, 5)

    asyncio.run(work())
    assert sorted(shape[0] for shape in batches if shape[1:] == small) == [3]
    assert sorted(shape[0] for shape in batches if shape[1:] == large) == [3]
