"""More work than the server can do, and work for a long time.

The generator shares the machine's processors with the server: figures are ratios of one run.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ovenbird_runtime.load_test.client import Target
from ovenbird_runtime.load_test.figures import Figures, figures_of
from ovenbird_runtime.load_test.workers import Plan, run_load
from support.pictures import encoded
from support.serving import Serving

pytestmark = [pytest.mark.load, pytest.mark.slow]
Report = Callable[..., None]
SECONDS = float(os.environ.get("OVENBIRD_LOAD_SECONDS", "10"))
SOAK = float(os.environ.get("OVENBIRD_SOAK_SECONDS", "30"))


def offered(server: Serving, name: str, plan: Plan) -> Figures:
    body = encoded(size=(500, 375))
    target = Target("127.0.0.1", server.port, f"/v1/models/{name}:predict")
    samples, seconds = run_load(target, [(body, "image/jpeg")], plan)
    return figures_of(plan, samples, seconds, 1)


def name_of(server: Serving) -> str:
    return str(server.json("GET", "/v1/models")[1]["models"][0]["name"])


def test_four_times_the_capacity(artifact: Path, report: Report) -> None:
    with Serving.start(artifact, "--no-access-log") as server:
        name = name_of(server)
        offered(server, name, Plan(1, 4, seconds=2))
        peak = offered(server, name, Plan(1, 16, seconds=max(5, SECONDS / 3)))
        over = offered(server, name, Plan(2, 128, seconds=SECONDS, rate=4 * peak.per_second))
        late = server.metric("ovenbird_expired_total")
        report(
            peak_per_second=peak.per_second,
            good_per_second=over.per_second,
            ratio=over.per_second / peak.per_second,
            p99_ms=over.p99_ms,
            refused_p99_ms=over.refused_p99_ms,
            statuses=over.statuses,
            expired=late,
        )
        assert over.per_second >= 0.9 * peak.per_second
        assert set(over.statuses) <= {"200", "429", "503", "504"}
        assert over.p99_ms <= 2100  # the default deadline, and the way to the client
        assert server.json("GET", "/v2/health/ready")[0] == 200


def test_long_run_does_not_grow(artifact: Path, report: Report) -> None:
    with Serving.start(artifact, "--no-access-log") as server:
        name = name_of(server)
        peak = offered(server, name, Plan(1, 8, seconds=5))
        time.sleep(1)
        before = (server.memory_kib(), server.threads(), server.descriptors())
        run = offered(server, name, Plan(1, 16, seconds=SOAK, rate=0.7 * peak.per_second))
        time.sleep(1)
        after = (server.memory_kib(), server.threads(), server.descriptors())
        report(seconds=SOAK, rate=run.rate, good=run.good, p99_ms=run.p99_ms, before=before, after=after)
        assert run.good == run.requests
        assert after[0] <= before[0] * 1.1 + 4096
        assert after[1] <= before[1] + 2
        assert after[2] <= before[2] + 2
