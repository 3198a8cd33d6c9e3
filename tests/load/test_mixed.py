"""A classifier and a detector in one process, asked at once: all requests are answered, and memory does not grow."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ovenbird_runtime.load_test.client import ServerAddress
from ovenbird_runtime.load_test.plan import LoadPlan, Sample
from ovenbird_runtime.load_test.workers import run_load
from support.serving import Serving
from support.tiny_artifact import detector_artifact

pytestmark = [pytest.mark.load, pytest.mark.slow]
SECONDS = float(os.environ.get("OVENBIRD_LOAD_SECONDS", "10"))
MOST_MIB = 16
"""More than after the first requests."""


def ask_both(server: Serving, names: list[str], body: bytes, plan: LoadPlan) -> list[Sample]:
    """Send the same load to each model at the same time."""

    def ask(name: str) -> list[Sample]:
        target = ServerAddress("127.0.0.1", server.port, f"/v1/models/{name}:predict")
        return run_load(target, [(body, "image/jpeg")], plan)[0]

    with ThreadPoolExecutor(len(names)) as threads:
        return [sample for samples in threads.map(ask, names) for sample in samples]


@pytest.mark.timeout(SECONDS * 2 + 120)
def test_every_request_of_a_mixed_load_is_answered(artifact: Path, jpeg: bytes) -> None:
    with Serving.start(artifact, detector_artifact(), "--no-access-log") as server:  # each on all processors, in turn
        names = [model["name"] for model in server.json("GET", "/v1/models")[1]["models"]]
        ask_both(server, names, jpeg, LoadPlan(1, 4, seconds=2))
        before = server.memory_kib()
        samples = ask_both(server, names, jpeg, LoadPlan(1, 4, seconds=SECONDS))
        more = (server.memory_kib() - before) / 1024
        answered = sum(status == 200 for _, status, _ in samples)
        assert len(samples) > 10 * SECONDS
        assert answered == len(samples)
        assert more <= MOST_MIB
