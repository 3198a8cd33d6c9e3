"""Ovenbird's own: the artifact in `ovenbird_runtime`, as a target runs it, through its public `load` and `run`.

run = ENGINE.start(job)
run({"image": array})["logits"]
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

from ovenbird.benchmarking.engines import OWN, BenchEngine, Runner
from ovenbird.benchmarking.jobs import NETWORK_FILE, Job


def load(engine: str | None = None) -> str:
    """Import the runtime and return its version, and whether code with a plan runs on its native engine."""
    version = str(runtime().__version__)
    native = engine != "tvm" and importlib.import_module("ovenbird_runtime.engine.native").is_installed()
    return f"{version}, native" if native else version


def runtime() -> Any:
    """Return the runtime's package; by name, as the compiler never loads its engine in a
    process with TVM's compiler.
    """
    return importlib.import_module("ovenbird_runtime")


def start(job: Job, engine: str | None = None) -> Runner:
    """Load the artifact that `network.json` names: the one compiled next to it, or a user's own."""
    facts = json.loads((Path(job.folder) / NETWORK_FILE).read_text(encoding="utf-8"))
    return start_folder(Path(facts["artifact"]), job, engine)


def start_folder(folder: Path, job: Job, engine: str | None = None) -> Runner:
    """Load the artifact in `folder` on the job's threads, by the engine that is named or that fits."""
    run: Runner = runtime().load(folder, threads=job.threads, engine=engine).run
    return run


ENGINE = BenchEngine(
    name=OWN,
    title="Ovenbird",
    package="ovenbird_runtime",
    distributions=("ovenbird-runtime",),
    needs="artifact",
    load=load,
    start=start,
)
