"""What tuning has found for one model on one target, read back: `tuning_logs/<target>/<model>/`.

    log = TuningLog.open(Path("tuning_logs/host/resnet50")).for_target(spec)
    log.lookup(function)          # Found(source="tuned", function=<scheduled>), or "default", or "stale"
    log.choices                   # {"conv3x3 float32 n1 64->64 56x56": "winograd4"}

The folder holds MetaSchedule's own JSON database, `provenance.json`, and `choices.json` with what was decided before
lowering. A record is stale when it was made by another TVM or for another processor, when its trace no longer applies,
or when the network no longer has its function. A stale record costs speed, never correctness.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ovenbird.errors import TuningLogInvalid
from ovenbird.records.provenance import Provenance, read_provenance

if TYPE_CHECKING:
    from tvm import tirx

    from ovenbird.targets import TargetSpec

WORKLOADS = "database_workload.json"
RECORDS = "database_tuning_record.json"
CHOICES = "choices.json"

WITHOUT_DTYPE = re.compile(r"^(conv3x3) (?=n\d)")

FAILED_ABOVE_S = 1e9
"""MetaSchedule writes 1e10 seconds for a candidate that failed."""

Source = Literal["tuned", "default", "stale"]


@dataclass(frozen=True)
class Found:
    """What the log knows of a function; `function` is scheduled, and only there when `source` is "tuned"."""

    source: Source
    function: tirx.PrimFunc | None = None
    reason: str = ""


@dataclass
class Best:
    """The fastest record of one workload."""

    workload: Any
    record: Any
    seconds: float
    used: bool = False


class TuningLog:
    """The best record of every workload, applied on demand."""

    def __init__(self, folder: Path, provenance: Provenance | None, choices: dict[str, str]) -> None:
        self.folder = folder
        self.made_by = provenance
        self.choices = choices
        self.mismatch = "" if provenance else "it does not say what made it"
        self._best: dict[int, list[Best]] = {}
        self._unreadable = 0

    @staticmethod
    def open(folder: Path) -> TuningLog:
        """Read a log. Raises TuningLogInvalid where the folder holds none."""
        if not (folder / WORKLOADS).is_file():
            raise TuningLogInvalid(f"{folder} holds no {WORKLOADS}; give a folder that `ovenbird tune` wrote")
        log = TuningLog(folder, read_provenance(folder), read_choices(folder))
        log._read()
        return log

    def for_target(self, target: TargetSpec) -> TuningLog:
        """Return the same log, every record stale if it was made for another processor or by another TVM."""
        if self.made_by is not None:
            self.mismatch = self.made_by.mismatch(target)
        if self.mismatch:
            self.choices = {}
        return self

    def lookup(self, function: tirx.PrimFunc) -> Found:
        """Return the best schedule for an unscheduled function; the names of its variables do not matter."""
        from ovenbird.records.workload import same_workload, workload, workload_hash

        module = workload(function)
        for best in self._best.get(workload_hash(module), []):
            if same_workload(best.workload.mod, module):
                best.used = True
                return self._apply(best, function)
        return Found("default")

    def find(self, function: tirx.PrimFunc) -> tirx.PrimFunc | None:
        """Return the scheduled function by the best record, None where there is none that applies."""
        return self.lookup(function).function

    def unused(self, entries: Sequence[str]) -> int:
        """Return how many records belong to a function that these entries (`main_b1`,
        ...) once had and have no more.
        """
        known = self.made_by.entries_of if self.made_by else {}
        count = self._unreadable
        for bests in self._best.values():
            for best in bests:
                wanted = known.get(str(best.workload.as_json()[0]), set(entries))
                count += not best.used and bool(wanted & set(entries))
        return count

    def provenance(self) -> dict[str, Any]:
        """Return what the manifest says about the log."""
        described: dict[str, Any] = {"folder": self.folder.name, "workloads": sum(map(len, self._best.values()))}
        if self.made_by is not None:
            described.update(self.made_by.summary())
        if self.mismatch:
            described["stale_because"] = self.mismatch
        return described

    def _apply(self, best: Best, function: tirx.PrimFunc) -> Found:
        from tvm.s_tir import Schedule
        from tvm.s_tir import meta_schedule as ms

        if self.mismatch:
            return Found("stale", reason=self.mismatch)
        try:
            record = ms.database.TuningRecord.from_json(best.record, best.workload)
            sch = Schedule(best.workload.mod)
            record.trace.apply_to_schedule(sch, remove_postproc=False)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a record, the default schedule is right
            return Found("stale", reason=f"its trace does not apply ({type(error).__name__})")
        scheduled = sch.mod["main"].without_attr("global_symbol")
        return Found("tuned", scheduled.with_attrs(function.attrs) if function.attrs else scheduled)

    def _read(self) -> None:
        from tvm.s_tir import meta_schedule as ms

        from ovenbird.records.workload import workload_hash

        fastest = fastest_records(self.folder / RECORDS)
        for index, line in enumerate(json_lines(self.folder / WORKLOADS)):
            if index not in fastest:
                continue
            seconds, record = fastest[index]
            try:
                found = ms.database.Workload.from_json(line)
            except Exception:  # noqa: BLE001 - written by another TVM, or damaged: stale
                self._unreadable += 1
                continue
            self._best.setdefault(workload_hash(found.mod), []).append(Best(found, record, seconds))


def fastest_records(path: Path) -> dict[int, tuple[float, Any]]:
    """For each workload's index, the fastest record: (seconds, its JSON). Of one trace the last measurement counts."""
    latest: dict[int, dict[str, tuple[float, Any]]] = {}
    for index, record in json_lines(path):
        latest.setdefault(index, {})[trace_key(record)] = (mean_seconds(record), record)
    best = {index: min(traces.values(), key=lambda found: found[0]) for index, traces in latest.items()}
    return {index: found for index, found in best.items() if found[0] < FAILED_ABOVE_S}


def trace_key(record: Any) -> str:
    """Return a record's trace as a name: two records of one trace are two measurements of one schedule."""
    # a truth value comes back from MetaSchedule's file as a number
    return json.dumps(record[0], separators=(",", ":")).replace("true", "1").replace("false", "0")


def record_json(record: Any) -> Any:
    """MetaSchedule's record as the JSON that its database writes.

    Its own `as_json` refuses traces that change a layout, which every GPU product does; the database does not.
    """
    from tvm.s_tir.meta_schedule import _ffi_api

    return plain_json(_ffi_api.TuningRecordAsJSON(record))


def plain_json(value: Any) -> Any:
    """TVM's containers as Python's, index maps as the text that the database holds."""
    import tvm
    import tvm_ffi
    from tvm import tirx

    if isinstance(value, tirx.IndexMap):
        return json.dumps(json.loads(tvm.ir.save_json(value)), indent=2)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, (tvm_ffi.Array, list, tuple)):
        return [plain_json(item) for item in value]
    if isinstance(value, (tvm_ffi.Map, dict)):
        return {str(key): plain_json(item) for key, item in value.items()}
    return getattr(value, "value", value)  # TVM's own numbers have theirs inside


def mean_seconds(record: Any) -> float:
    """Return a record's time."""
    times = [float(value) for value in record[1] or ()]
    return sum(times) / len(times) if times else 1e10


def json_lines(path: Path) -> Iterator[Any]:
    """Yield the values of a file of one JSON value a line; a last line that was cut off by a kill is left out."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                yield json.loads(line)
            except ValueError:
                continue


def read_choices(folder: Path) -> dict[str, str]:
    """Return the choices made before lowering, none where there is no such file or it is damaged.

    Keys of the first logs name no dtype: all of theirs were float32.
    """
    try:
        found = json.loads((folder / CHOICES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {WITHOUT_DTYPE.sub(r"\1 float32 ", str(key)): str(value) for key, value in found.items()}
