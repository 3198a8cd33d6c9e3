"""Ovenbird on TVM's virtual machine, where the native engine would run the artifact: to compare the two.

run = ENGINE.start(job)
"""

from __future__ import annotations

import json
from pathlib import Path

from ovenbird.benchmarking.engines import OWN_TVM, BenchEngine, Runner, own
from ovenbird.benchmarking.jobs import NETWORK_FILE, Job


def start(job: Job) -> Runner:
    """Load the artifact that `network.json` names by TVM's engine."""
    facts = json.loads((Path(job.folder) / NETWORK_FILE).read_text(encoding="utf-8"))
    return own.start_folder(Path(facts["artifact"]), job, engine="tvm")


ENGINE = BenchEngine(
    name=OWN_TVM,
    title="Ovenbird, TVM's engine",
    package="ovenbird_runtime",
    distributions=("ovenbird-runtime",),
    needs="artifact",
    load=own.load,
    start=start,
)
