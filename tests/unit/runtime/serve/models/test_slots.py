"""New versions of a real artifact, and what goes wrong with them."""

from __future__ import annotations

import asyncio
import io
import json

import pytest

from ovenbird_runtime.serve.models import slots as slots_module
from ovenbird_runtime.serve.models.deployment import Deployment
from ovenbird_runtime.serve.models.slots import Slots
from ovenbird_runtime.serve.settings import ModelSource, Settings
from ovenbird_runtime.serve.telemetry.logs import Log
from ovenbird_runtime.serve.telemetry.metrics import Metrics
from support.tiny_artifact import tiny_artifact


def test_reload_outlives_an_error_that_nobody_foresaw(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else `--watch` would end without a word, and every later version would be ignored."""
    lines = io.StringIO()
    log = Log(lines)

    def out_of_memory(source: ModelSource, settings: Settings) -> Deployment:
        raise MemoryError("no room\nfor weights")

    async def work() -> None:
        slots = Slots(Settings(artifacts=(ModelSource(None, tiny_artifact()),)), Metrics(), log)
        await slots.load_all()
        first = slots.find("tiny")
        with monkeypatch.context() as patch:
            patch.setattr(slots_module, "prepare_deployment", out_of_memory)
            await slots.reload()
        assert slots.find("tiny") is first
        await slots.reload()
        assert slots.find("tiny") is not first
        await slots.close(5)

    asyncio.run(work())
    log.close()
    logged = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [line["event"] for line in logged] == ["reload_failed", "reloaded"]
    assert logged[0]["type"] == "MemoryError"
