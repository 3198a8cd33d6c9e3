"""A real artifact behind a batcher whose engine is made to fail or to hang."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from ovenbird_runtime.errors import EngineCallFailed, SelftestFailed
from ovenbird_runtime.serve.deployment import Deployment
from ovenbird_runtime.serve.errors import DeadlineExceeded, NotReady, UnknownModel
from ovenbird_runtime.serve.lifecycle import Lifecycle, State
from ovenbird_runtime.serve.logs import Log
from ovenbird_runtime.serve.metric_names import ENGINE_FAILURES
from ovenbird_runtime.serve.metrics import Metrics
from ovenbird_runtime.serve.settings import Settings, Source
from ovenbird_runtime.serve.slots import Slots
from support.tiny_artifact import tiny_artifact

IMAGE = np.zeros((1, 3, 32, 32), np.float32)


@pytest.fixture
def settings() -> Settings:
    return Settings(artifacts=(Source(None, tiny_artifact()),), hang_seconds=0.1)


@pytest.fixture
def log() -> Iterator[Log]:
    import io

    found = Log(io.StringIO())
    yield found
    found.close()


async def infer(deployment: Deployment, seconds: float = 5.0) -> dict[str, Any]:
    deployment.batcher.expect(1)
    outputs, _ = await deployment.infer(1, {"image": IMAGE}, time.monotonic() + seconds)
    return outputs


def test_three_failures_turn_readiness_off_and_a_probe_on_again(settings: Settings, log: Log) -> None:
    async def work() -> None:
        metrics, lifecycle = Metrics(), Lifecycle(log)
        slots = Slots(settings, metrics, log)
        await slots.load_all()
        lifecycle.slots = slots
        lifecycle.enter(State.READY)
        deployment = slots.find("tiny")
        run = deployment.batcher._run

        def broken(rows: int, arrays: Any, crowded: bool) -> dict[str, Any]:
            raise EngineCallFailed("broken")

        deployment.batcher._run = broken
        for count in range(3):
            assert lifecycle.ready, count
            with pytest.raises(EngineCallFailed):
                await infer(deployment)
        assert metrics.value(ENGINE_FAILURES, "tiny") == 3
        assert not lifecycle.ready
        assert lifecycle.live
        with pytest.raises(NotReady, match="unwell"):
            slots.find("tiny")
        deployment.batcher._run = run
        assert deployment.probe()
        assert lifecycle.ready
        assert (await infer(deployment))["logits"].shape == (1, 5)
        await slots.close(5)

    asyncio.run(work())


def test_hung_engine_fails_liveness_and_requests_end_at_their_deadline(settings: Settings, log: Log) -> None:
    async def work() -> None:
        lifecycle = Lifecycle(log)
        slots = Slots(settings, Metrics(), log)
        await slots.load_all()
        lifecycle.slots = slots
        lifecycle.enter(State.READY)
        deployment = slots.find("tiny")
        gate = threading.Event()
        run = deployment.batcher._run

        def hung(rows: int, arrays: Any, crowded: bool) -> dict[str, Any]:
            gate.wait(10)
            return run(rows, arrays)

        deployment.batcher._run = hung
        start = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            await infer(deployment, 0.3)
        assert time.monotonic() - start < 2
        assert not lifecycle.live
        assert not lifecycle.ready
        with pytest.raises(NotReady):
            slots.find("tiny")
        gate.set()
        await asyncio.sleep(0.2)
        assert lifecycle.live
        await slots.close(5)

    asyncio.run(work())


def test_wrong_golden_outputs_are_noticed(settings: Settings) -> None:
    deployment = Deployment.prepare(settings.artifacts[0], settings)
    assert deployment._golden is not None
    inputs, outputs, tolerance = deployment._golden
    deployment._golden = (inputs, {name: array + 1 for name, array in outputs.items()}, tolerance)
    with pytest.raises(SelftestFailed, match="off by"):
        deployment.selftest()
    assert not deployment.probe()
    deployment.model.close()


def test_every_batch_size_has_a_cost(settings: Settings) -> None:
    deployment = Deployment.prepare(settings.artifacts[0], settings)
    assert set(deployment.costs.table) == {1, 4}
    assert all(0 < cost < 1000 for cost in deployment.costs.table.values())
    assert deployment.model.costs == deployment.costs.table
    deployment.model.close()


def test_unknown_names_and_versions(settings: Settings, log: Log) -> None:
    async def work() -> None:
        slots = Slots(settings, Metrics(), log)
        with pytest.raises(NotReady):
            slots.find("tiny")
        await slots.load_all()
        assert slots.find("tiny", "1") is slots.find("tiny")
        for name, version in (("other", None), ("tiny", "2")):
            with pytest.raises(UnknownModel):
                slots.find(name, version)
        await slots.close(5)

    asyncio.run(work())
