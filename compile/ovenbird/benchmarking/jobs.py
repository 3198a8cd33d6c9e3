"""A worker process's job and its answer: both travel as JSON files in the work folder.

write_job(path, Job(engine="ort", folder="work/resnet50", batch=1, threads=2, ...))
answer = read_answer(path)          # Answer(times_ms=(18.9, ...), load_s=0.1, first_s=0.03, ...)
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ovenbird.replacing import replacing
from ovenbird_runtime.manifest.agreement import Precision

NETWORK_FILE, ARTIFACT_FOLDER, UNTUNED_FOLDER = "network.json", "artifact", "artifact-untuned"
DEFAULT_SECONDS = 1.0
MIN_RUNS, MAX_RUNS = 5, 200


@dataclass(frozen=True)
class Runs:
    """How often a worker runs: `repeat` times, or as often as fits into `seconds`, after `warmup` runs not timed."""

    repeat: int | None = None
    seconds: float = DEFAULT_SECONDS
    warmup: int | None = None

    @property
    def most(self) -> int:
        """The most runs that are timed where none were asked for: more runs of a short one say no more."""
        return max(MAX_RUNS, round(MAX_RUNS * self.seconds / DEFAULT_SECONDS))


@dataclass(frozen=True)
class Job:
    """One process's work. `folder` is what `preparing` wrote; `precision`, of all engines; `started`,
    `time.perf_counter()` before the process.
    """

    engine: str
    folder: str
    batch: int
    threads: int
    runs: Runs = Runs()
    precision: Precision = "f32"
    started: float = 0.0
    hold: bool = False

    @property
    def inputs(self) -> Path:
        """The arrays that every engine is fed, by input name."""
        return inputs_file(Path(self.folder), self.batch)

    @property
    def onnx(self) -> Path:
        """The network as an ONNX file of fixed shapes."""
        return onnx_file(Path(self.folder), self.batch)


@dataclass(frozen=True)
class Answer:
    """One process's measurements: milliseconds a run, seconds of its start, bytes of memory after the runs.

    `process_s` is from before the process was started to its first outputs; `import_s` is the engine's packages,
    `load_s` the session's creation, `first_s` the first run.
    """

    times_ms: tuple[float, ...]
    import_s: float
    load_s: float
    first_s: float
    process_s: float
    rss_bytes: int
    pss_bytes: int
    version: str = ""
    notes: dict[str, Any] = field(default_factory=dict)


def inputs_file(folder: Path, batch: int) -> Path:
    """Return the place of the inputs for one batch size."""
    return folder / f"inputs-b{batch}.npz"


def reference_file(folder: Path, batch: int) -> Path:
    """Return the place of the framework's own outputs for one batch size."""
    return folder / f"reference-b{batch}.npz"


def onnx_file(folder: Path, batch: int) -> Path:
    """Return the place of the ONNX file for one batch size."""
    return folder / f"model-b{batch}.onnx"


def write_job(path: Path, job: Job) -> None:
    """Write a job for a worker to read."""
    path.write_text(json.dumps(dataclasses.asdict(job)), encoding="utf-8")


def read_job(path: Path) -> Job:
    """Read what `write_job` wrote."""
    values = json.loads(path.read_text(encoding="utf-8"))
    return Job(**{**values, "runs": Runs(**values["runs"])})


def write_answer(path: Path, answer: Answer) -> None:
    """Write an answer in one piece: a reader never sees half of it."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(dataclasses.asdict(answer)), encoding="utf-8")


def read_answer(path: Path) -> Answer:
    """Read what `write_answer` wrote."""
    values = json.loads(path.read_text(encoding="utf-8"))
    return Answer(**{**values, "times_ms": tuple(values["times_ms"])})
