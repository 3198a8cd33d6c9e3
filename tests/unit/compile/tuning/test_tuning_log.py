"""A log that was written is read back, applied, and called stale where it does not hold."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from ovenbird.backends.base import BuildOptions
from ovenbird.backends.building import build_module
from ovenbird.backends.cpu.tuning.algorithms import convolution, parse_shape
from ovenbird.backends.cpu.tuning.tuner import CpuTuner
from ovenbird.errors import TuningLogBusy, TuningLogInvalid
from ovenbird.lowering.entry_key import EntryKey
from ovenbird.measure.candidates import Builder
from ovenbird.measure.log_writer import LogWriter
from ovenbird.measure.measuring import LocalMeasurer, Outcome
from ovenbird.measure.tasks import Task, select_tasks
from ovenbird.records.provenance import PROVENANCE, Provenance, read_provenance
from ovenbird.records.tuning_log import RECORDS, WORKLOADS, TuningLog, fastest_records, json_lines, read_choices
from ovenbird.records.tuning_records import matches, provenance
from ovenbird.targets import TargetSpec
from ovenbird.tuning.session import Budget, Session
from ovenbird.tuning.table import Display

from ..conftest import SHAPE

TRIALS = 8


def open_log(folder: Path, spec: TargetSpec, resume: bool = True) -> LogWriter:
    return LogWriter.open(folder, Provenance.of(spec, "tiny", {"trials": TRIALS}), spec.tvm_target(), resume)


def tune(
    folder: Path, tasks: list[Task], spec: TargetSpec, builder: Builder, measurer: LocalMeasurer, trials: int
) -> int:
    with open_log(folder, spec) as log:
        log.choose({SHAPE.key: "direct"})
        session = Session(tasks, tasks, CpuTuner(spec), log, builder, measurer, Display(), Budget(trials))
        session.run()
        session.save()
        return session.trials


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory,
    tasks: list[Task],
    spec: TargetSpec,
    builder: Builder,
    measurer: LocalMeasurer,
) -> Path:
    """A log of a few real trials."""
    folder = tmp_path_factory.mktemp("log") / "tiny"
    assert tune(folder, tasks, spec, builder, measurer, TRIALS) == TRIALS
    return folder


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    """The same log, to be damaged."""
    copy = tmp_path / "tiny"
    copy.mkdir()
    for file in folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    return copy


def test_a_resumed_run_counts_the_trials_before(
    copied: Path, tasks: list[Task], spec: TargetSpec, builder: Builder, measurer: LocalMeasurer
) -> None:
    before = (copied / RECORDS).read_text()
    assert tune(copied, tasks, spec, builder, measurer, TRIALS) == TRIALS  # nothing is left to do
    assert (copied / RECORDS).read_text() == before
    assert tune(copied, tasks, spec, builder, measurer, TRIALS + 2) == TRIALS + 2
    assert (copied / RECORDS).read_text().startswith(before)


def test_the_log_says_what_made_it(folder: Path, spec: TargetSpec) -> None:
    made_by = read_provenance(folder)
    assert made_by is not None
    assert made_by.mismatch(spec) == ""
    assert made_by.trials == TRIALS
    assert made_by.devices == {"local": TRIALS}
    assert set(made_by.versions) == {"ovenbird", "tvm", "tvm_ffi"}
    assert made_by.latency_ms["main_b1"].keys() == {"tuned", "default"}
    assert min(made_by.latency_ms["main_b1"].values()) > 0


def test_records_are_used_by_the_build(folder: Path, spec: TargetSpec) -> None:
    log = TuningLog.open(folder)
    built = build_module({EntryKey(): convolution(SHAPE)}, spec, BuildOptions(records=log))
    assert {layer.source for layer in built.layers} == {"tuned"}
    facts = provenance(log, built.layers)
    assert (facts["tuned"], facts["default"], facts["stale"]) == (len(built.layers), 0, 0)
    assert facts["records"]["trials"] == TRIALS


def test_records_of_another_processor_are_stale(folder: Path, spec: TargetSpec) -> None:
    other = dataclasses.replace(spec, l2_bytes=spec.l2_bytes * 2)
    log = TuningLog.open(folder)
    built = build_module({EntryKey(): convolution(SHAPE)}, other, BuildOptions(records=log))
    sources = {layer.source for layer in built.layers}
    assert "stale" in sources
    assert "tuned" not in sources
    assert "l2_bytes" in log.provenance()["stale_because"]
    assert log.choices == {}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"features": ("sse2",)}, "other features"),
        ({"mcpu": "core2"}, "mcpu"),
        ({"mattr": ("+sse2",)}, "mattr"),
        ({"vector_bits": 64}, "vector_bits"),
        ({"registers": 3}, "registers"),
        ({"cores": 99}, "cores"),
        ({"l1d_bytes": 1}, "l1d_bytes"),
        ({"l2_bytes": 1}, "l2_bytes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_records_of_another_processor_are_never_taken(
    folder: Path, task: Task, spec: TargetSpec, change: dict[str, Any], why: str
) -> None:
    other = dataclasses.replace(spec, **change)
    log = TuningLog.open(folder).for_target(other)
    found = log.lookup(task.module["main"])
    assert (found.source, found.function) == ("stale", None)
    assert why in found.reason
    assert log.choices == {}
    assert not matches(folder, other)


def test_records_of_another_tvm_are_stale(copied: Path, task: Task, spec: TargetSpec) -> None:
    made_by = json.loads((copied / PROVENANCE).read_text())
    made_by["versions"]["tvm"] = "0.1"
    (copied / PROVENANCE).write_text(json.dumps(made_by))
    found = TuningLog.open(copied).for_target(spec).lookup(task.module["main"])
    assert (found.source, found.function) == ("stale", None)
    assert "made by TVM 0.1" in found.reason


def test_a_trace_that_does_not_apply_is_stale(copied: Path, task: Task, spec: TargetSpec) -> None:
    text = (copied / RECORDS).read_text()
    (copied / RECORDS).write_text(text.replace('"root","main"', '"root","gone"'))
    found = TuningLog.open(copied).for_target(spec).lookup(task.module["main"])
    assert found.source == "stale"
    assert "does not apply" in found.reason


def test_records_of_a_network_that_changed_are_counted(folder: Path, spec: TargetSpec) -> None:
    log = TuningLog.open(folder).for_target(spec)
    changed = dataclasses.replace(SHAPE, height=10)
    built = build_module({EntryKey(): convolution(changed)}, spec, BuildOptions(records=log))
    assert all(layer.source == "default" for layer in built.layers if layer.flops)
    assert provenance(log, built.layers)["stale"] >= 1
    assert log.unused(["main_b8"]) == 0  # another batch size than any that was tuned


def test_a_torn_line_is_cut_off(copied: Path, tasks: list[Task], spec: TargetSpec) -> None:
    whole = len(list(json_lines(copied / RECORDS)))
    with (copied / RECORDS).open("a") as records:
        records.write('[0,[[["GetSBlock",[],["ro')
    assert len(list(json_lines(copied / RECORDS))) == whole
    with open_log(copied, spec) as log:
        log.register(tasks)
        assert sum(log.trials(task) for task in tasks) == TRIALS
    assert (copied / RECORDS).read_bytes().endswith(b"\n")


def test_a_failure_is_recorded_and_never_the_best(
    copied: Path, task: Task, tasks: list[Task], spec: TargetSpec
) -> None:
    with open_log(copied, spec) as log:
        log.register(tasks)
        best = log.best_seconds(task)
        log.add(task, log.database.get_all_tuning_records()[0].trace, Outcome(None, "running: crashed with SIGSEGV"))
        log.flush()
        assert log.best_seconds(task) is not None
    assert best is not None
    failures = [json.loads(line) for line in (copied / "failures.jsonl").read_text().splitlines()]
    assert failures[-1]["error"] == "running: crashed with SIGSEGV"
    assert all(seconds < 1.0 for seconds, _ in fastest_records(copied / RECORDS).values())


def test_the_fastest_record_of_a_workload_is_used_by_its_last_measurement(tmp_path: Path) -> None:
    slow, fast, broken = ([["Tile", [], [name], []]] for name in ("slow", "fast", "broken"))
    lines = [
        [0, [slow, [1e-3]]],
        [0, [fast, [9e-3]]],
        [0, [fast, [2e-4, 4e-4]]],
        [1, [broken, [1e10]]],
        [2, [slow, [5.0]]],
    ]
    (tmp_path / RECORDS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = {index: (seconds, record[0]) for index, (seconds, record) in fastest_records(tmp_path / RECORDS).items()}
    assert found == {0: (pytest.approx(3e-4), fast), 2: (5.0, slow)}


def test_a_log_has_one_writer(copied: Path, spec: TargetSpec) -> None:
    with open_log(copied, spec), pytest.raises(TuningLogBusy, match="another `ovenbird tune`"):
        open_log(copied, spec)


def test_an_old_log_is_moved_aside(copied: Path, spec: TargetSpec) -> None:
    with open_log(copied, spec, resume=False) as log:
        assert not list(json_lines(log.folder / RECORDS))
    kept = [path for path in copied.parent.iterdir() if path.name.startswith(f"tiny@{spec.mcpu}")]
    assert len(kept) == 1
    assert (kept[0] / WORKLOADS).is_file()


def test_a_folder_without_a_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TuningLogInvalid, match=r"holds no database_workload\.json"):
        TuningLog.open(tmp_path)


def test_tasks_are_selected_by_number_and_name(tasks: list[Task]) -> None:
    assert select_tasks(tasks, "all") == tasks
    assert [task.index for task in select_tasks(tasks, "0")] == [0]
    assert [task.layer.kind for task in select_tasks(tasks, "conv2d")] == ["conv2d"]


def test_choices_of_the_first_logs_are_float32_s(tmp_path: Path) -> None:
    """Their keys named no dtype; a key of another dtype is another convolution."""
    (tmp_path / "choices.json").write_text(
        '{"conv3x3 n1 16->32 12x12": "winograd2", "conv3x3 float16 n1 16->32 12x12": "direct"}'
    )
    found = read_choices(tmp_path)
    assert found == {SHAPE.key: "winograd2", dataclasses.replace(SHAPE, dtype="float16").key: "direct"}
    assert [parse_shape(key) for key in found] == [SHAPE, dataclasses.replace(SHAPE, dtype="float16")]
