"""Writing a tuning log: each record as it comes, and on the disk before the next is measured.

    with LogWriter.open(folder, provenance, target_spec.tvm_target(), resume=True) as log:
        log.register(tasks)
        log.add(task, trace, Outcome(seconds=0.00042))
        log.best_seconds(task)

The records are MetaSchedule's own JSON database, appended line by line; a kill loses the line being written, no more.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from tvm.s_tir import meta_schedule as ms

from ovenbird.errors import TuningLogBusy, output_error
from ovenbird.measure.limits import FAILED_S
from ovenbird.measure.measuring import Outcome
from ovenbird.measure.tasks import Task
from ovenbird.records.provenance import PROVENANCE, Provenance, read_provenance, timestamp, write_json
from ovenbird.records.tuning_log import (
    CHOICES,
    FAILED_ABOVE_S,
    RECORDS,
    WORKLOADS,
    json_lines,
    mean_seconds,
    read_choices,
    record_json,
    trace_key,
)

FAILURES = "failures.jsonl"
LOCK = ".lock"


@dataclass
class TaskRecords:
    """What was measured for one task: the latest time of every trace, by its key."""

    workload: Any
    arguments: Any
    times: dict[str, float] = field(default_factory=dict)
    written: dict[str, Any] = field(default_factory=dict)

    def record(self, key: str) -> Any:
        """Return the record of a trace, as MetaSchedule's object."""
        return ms.database.TuningRecord.from_json(self.written[key], self.workload)

    @property
    def best(self) -> str | None:
        """The key of the fastest trace that did not fail."""
        key = min(self.times, key=self.times.__getitem__, default=None)
        return key if key is not None and self.times[key] < FAILED_ABOVE_S else None


class LogWriter:
    """One log, open for this process alone."""

    def __init__(self, folder: Path, provenance: Provenance, target: Any) -> None:
        self.folder = folder
        self.provenance = provenance
        self.choices = read_choices(folder)
        self.target = target
        self._lock = (folder / LOCK).open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise TuningLogBusy(
                f"another `ovenbird tune` is writing {folder}; wait for it, or give another --output"
            ) from None
        for name in (WORKLOADS, RECORDS):
            cut_torn_line(folder / name)
        self.database: Any = ms.database.JSONDatabase(work_dir=str(folder))
        self.tasks: dict[int, TaskRecords] = {}

    @staticmethod
    def open(folder: Path, provenance: Provenance, target: Any, resume: bool, mismatch: str = "") -> LogWriter:
        """Open the log in `folder`, or begin one; an old one that does not go on is moved aside, never lost."""
        try:
            if (folder / PROVENANCE).is_file() and (not resume or mismatch):
                move_aside(folder)
            folder.mkdir(parents=True, exist_ok=True)
            kept = read_provenance(folder)
            if kept is not None:
                provenance.created, provenance.devices = kept.created, kept.devices
            log = LogWriter(folder, provenance, target)
            log.save()
        except OSError as error:
            raise output_error(error, str(folder)) from error
        return log

    def __enter__(self) -> LogWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.close()

    def register(self, tasks: Sequence[Task]) -> None:
        """Find the records that there are of `tasks`, and make room for more."""
        for task in tasks:
            found = self.database.commit_workload(task.module)
            self.tasks[task.index] = TaskRecords(found, ms.arg_info.ArgInfo.from_entry_func(task.module))
            task.workload_hash = str(found.as_json()[0])
        by_hash = {task.workload_hash: self.tasks[task.index] for task in tasks}
        known = [by_hash.get(str(line[0])) for line in json_lines(self.folder / WORKLOADS)]
        for index, written in json_lines(self.folder / RECORDS):  # in the order of measurement: the last one counts
            found_records = known[index]
            if found_records is not None:
                found_records.times[trace_key(written)] = mean_seconds(written)
                found_records.written[trace_key(written)] = written

    def key(self, task: Task, trace: Any) -> str:
        """Return the name of a trace in the log."""
        known = self.tasks[task.index]
        return trace_key(record_json(ms.database.TuningRecord(trace, known.workload, [0.0], None, known.arguments)))

    def add(self, task: Task, trace: Any, outcome: Outcome, name: str = "") -> str:
        """Record one measurement, also of a candidate that failed, by its name if it has
        one; return the trace's key.
        """
        known = self.tasks[task.index]
        seconds = FAILED_S if outcome.seconds is None else outcome.seconds
        record = ms.database.TuningRecord(trace, known.workload, [seconds], self.target, known.arguments)
        written = record_json(record)
        key = trace_key(written)
        known.times[key] = seconds
        known.written[key] = written
        self.database.commit_tuning_record(record)
        if outcome.error:
            line = {
                "task": task.title,
                "workload": task.workload_hash,
                "error": outcome.error,
                "decisions": name or decisions(trace),
            }
            with (self.folder / FAILURES).open("a", encoding="utf-8") as failures:
                failures.write(json.dumps(line) + "\n")
        return key

    def flush(self) -> None:
        """Bring what was added to the disk itself."""
        for name in (WORKLOADS, RECORDS, FAILURES):
            path = self.folder / name
            if path.is_file():
                with path.open("rb") as file:
                    os.fsync(file.fileno())

    def trials(self, task: Task) -> int:
        """Return how many schedules of a task were measured; measuring one again is no trial."""
        return len(self.tasks[task.index].times)

    def best_seconds(self, task: Task) -> float | None:
        """Return the time of the fastest schedule of a task."""
        known = self.tasks[task.index]
        return known.times[known.best] if known.best else None

    def choose(self, choices: dict[str, str]) -> None:
        """Keep what was decided before lowering."""
        self.choices.update(choices)
        write_json(self.folder / CHOICES, dict(sorted(self.choices.items())))

    def save(self) -> None:
        """Write the provenance as it is now."""
        self.provenance.updated = timestamp()
        self.provenance.write(self.folder)


def decisions(trace: Any) -> list[Any]:
    """Return the numbers that distinguish the traces of a space."""
    return [[int(n) for n in one] if hasattr(one, "__iter__") else int(one) for one in trace.decisions.values()]


def cut_torn_line(path: Path) -> None:
    """Cut off a last line without an end, which a kill left behind."""
    if not path.is_file():
        return
    with path.open("rb+") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole != len(content):
            file.truncate(whole)


def move_aside(folder: Path) -> None:
    """Rename a log that is begun anew: `resnet50` to `resnet50@<mcpu>-<date>`, where `compile` still finds it."""
    old = read_provenance(folder)
    made_on = old.machine if old else "unknown"
    stamp = (old.updated if old else timestamp()).replace(":", "").replace("-", "")
    name = f"{folder.name}@{made_on}-{stamp}"
    target, count = folder.with_name(name), 1
    while target.exists():
        count += 1
        target = folder.with_name(f"{name}-{count}")
    folder.rename(target)
