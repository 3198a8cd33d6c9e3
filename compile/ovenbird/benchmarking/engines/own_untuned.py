"""Ovenbird without any tuning record: the same network compiled with the default schedules, for comparison in one run.

run = ENGINE.start(job)
"""

from __future__ import annotations

from pathlib import Path

from ovenbird.benchmarking.engines import OWN_UNTUNED, BenchEngine, Runner, own
from ovenbird.benchmarking.jobs import UNTUNED_FOLDER, Job


def start(job: Job) -> Runner:
    """Load the artifact that was compiled without records."""
    return own.start_folder(Path(job.folder) / UNTUNED_FOLDER, job)


ENGINE = BenchEngine(
    name=OWN_UNTUNED,
    title="Ovenbird, untuned",
    package="ovenbird_runtime",
    distributions=("ovenbird-runtime",),
    needs="artifact",
    load=own.load,
    start=start,
)
