"""A real artifact behind a batcher whose engine is made to fail or to hang."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ovenbird_runtime.artifact.golden import GOLDEN, read_golden, write_golden
from ovenbird_runtime.errors import EngineCallFailed, SelftestFailed
from ovenbird_runtime.manifest.agreement import LIMITS
from ovenbird_runtime.model import Model
from ovenbird_runtime.selftest import selftest
from ovenbird_runtime.serve.errors import DeadlineExceeded, NotReady, UnknownModel
from ovenbird_runtime.serve.lifecycle import Lifecycle, State
from ovenbird_runtime.serve.models.deployment import Deployment
from ovenbird_runtime.serve.models.slots import Slots
from ovenbird_runtime.serve.settings import ModelSource, Settings
from ovenbird_runtime.serve.telemetry.logs import Log
from ovenbird_runtime.serve.telemetry.metric_names import ENGINE_FAILURES
from ovenbird_runtime.serve.telemetry.metrics import Metrics
from support.tiny_artifact import copy_tiny, reseal, tiny_artifact

IMAGE = np.zeros((1, 3, 32, 32), np.float32)


@pytest.fixture
def settings() -> Settings:
    return Settings(artifacts=(ModelSource(None, tiny_artifact()),), hang_seconds=0.1)


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
        with pytest.raises(NotReady, match="unhealthy"):
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
        assert time.monotonic() - start < 8
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
    (golden,) = deployment._golden
    wrong = {name: array + 1 for name, array in golden.outputs.items()}
    deployment._golden = (dataclasses.replace(golden, outputs=wrong),)
    with pytest.raises(SelftestFailed, match="is off by"):
        deployment.selftest()
    assert not deployment.probe()
    deployment.model.close()


SPOILS = {
    "as written": (lambda right: right, ""),
    "a tenth of the limit": (lambda right: spread_noise(right, 0.1), ""),
    "thrice the limit": (lambda right: spread_noise(right, 3), "is off by"),
    "a percent more": (lambda right: right * np.float32(1.01), "is off by"),
    "zero": (np.zeros_like, "is off by"),
    "the same for both": (lambda right: np.repeat(right[:1], 2, axis=0), "is off by"),
    "one row": (lambda right: right[:1], "expected"),
    "NaN": (lambda right: right * np.float32("nan"), "not finite"),
    "double": (lambda right: right.astype(np.float64), "expected"),
}


def spread_noise(right: Any, share: float) -> Any:
    noise = np.random.default_rng(0).choice([-1.0, 1.0], right.shape)
    return (right + share * LIMITS["f32"].rms * right.std(axis=0) * noise).astype(right.dtype)


@pytest.mark.parametrize("factor", [1, 1e-6, 1e6])
@pytest.mark.parametrize("spoil", SPOILS)
def test_selftest_and_the_servers_warm_up_give_one_verdict(tmp_path: Path, spoil: str, factor: float) -> None:
    """On outputs of any size: the golden file's are multiplied, and so are the answers of the code."""
    change, fault = SPOILS[spoil]
    artifact = copy_tiny(tmp_path)
    inputs, outputs = read_golden((artifact / GOLDEN).read_bytes())
    scaled = {name: (array * np.float32(factor)).astype(array.dtype) for name, array in outputs.items()}
    write_golden(artifact / GOLDEN, inputs, {name: change(array) for name, array in scaled.items()})
    reseal(artifact)
    run = Model.run

    def multiplied(self: Model, *arguments: Any, **options: Any) -> dict[str, Any]:
        return {name: array * np.float32(factor) for name, array in run(self, *arguments, **options).items()}

    verdicts = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Model, "run", multiplied)
        for judge in (judge_by_selftest, judge_by_warm_up):
            try:
                judge(artifact)
                verdicts.append("")
            except SelftestFailed as error:
                verdicts.append(str(error))
    assert verdicts[0] == verdicts[1]
    assert (fault in verdicts[0]) if fault else verdicts[0] == ""


def judge_by_selftest(artifact: Path) -> None:
    selftest(artifact)


def judge_by_warm_up(artifact: Path) -> None:
    source = ModelSource(None, artifact)
    Deployment.prepare(source, Settings(artifacts=(source,))).model.close()


def test_every_batch_size_has_a_cost(settings: Settings) -> None:
    deployment = Deployment.prepare(settings.artifacts[0], settings)
    assert set(deployment.usual_costs.table) == {1, 4}
    assert all(0 < cost < 1000 for cost in deployment.usual_costs.table.values())
    assert deployment.model.costs == deployment.usual_costs.table
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
