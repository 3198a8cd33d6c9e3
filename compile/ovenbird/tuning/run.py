"""From a network to a tuning log: lowering, the choices before it, tasks, and the session that tunes them.

report = tune_network(load_network("resnet50"), TuneOptions(target="host", trials=500))
report.folder, report.trials, report.latency_ms["main_b1"]["tuned"]
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovenbird.backends.precisions import PRECISIONS
from ovenbird.backends.table import BACKENDS
from ovenbird.errors import TuningInterrupted
from ovenbird.lowering.entry_key import EntryKey
from ovenbird.networks.network import Network
from ovenbird.process.interruption import catching
from ovenbird.records.provenance import Provenance, read_provenance
from ovenbird.records.tuning_records import own_folder
from ovenbird.targets import TargetSpec, load_target
from ovenbird.tuning.table import Display, Stoppable
from ovenbird_runtime.manifest.agreement import Precision

if TYPE_CHECKING:
    import tvm

    from ovenbird.backends.base import Tuner
    from ovenbird.lowering.entry_key import Networks
    from ovenbird.measure.candidates import Builder
    from ovenbird.measure.log_writer import LogWriter
    from ovenbird.measure.measuring import Measurer
    from ovenbird.measure.tasks import Task

ALL_TASKS = "all"


@dataclass(frozen=True)
class TuneOptions:
    """Options of `ovenbird tune`. `trials`: in all, those of earlier runs included; times in seconds.

    `precision`: what is asked for; a target's backend says what it computes in.
    """

    target: str = "host"
    trials: int = 1000
    tasks: str = ALL_TASKS
    time_budget_s: float | None = None
    resume: bool = True
    rpc_tracker: str | None = None
    rpc_key: str = ""
    batch_sizes: tuple[int, ...] = (1, 8)
    output: Path | None = None
    choices: bool = True
    seed: int = 0
    precision: Precision = "f32"


@dataclass(frozen=True)
class TuneReport:
    """What a run leaves behind."""

    folder: Path
    trials: int
    failed: int
    latency_ms: dict[str, dict[str, float]]
    arithmetic_limit_gflops: float
    rows: list[tuple[str, ...]]


def list_tasks(network: Network, options: TuneOptions) -> list[Task]:
    """Return the tasks of a network, nothing tuned."""
    from ovenbird.measure.tasks import extract_tasks

    tuner = tuner_of(load_target(options.target), options)
    modules = import_network(network, options)
    return extract_tasks(tuner.lower(modules, {}), modules)


def import_network(network: Network, options: TuneOptions) -> dict[EntryKey, tvm.IRModule]:
    """Return the Relax module of every image size and batch size."""
    return {
        EntryKey(batch=batch, size=size): network.at(size).relax(batch)
        for size in network.image_sizes
        for batch in network.compiled_batches(options.batch_sizes)
    }


def tune_network(network: Network, options: TuneOptions, display: Display | None = None) -> TuneReport:
    """Tune `network` until the trials or the time are used up. Raises any TuningError; records are never lost."""
    deadline = None if options.time_budget_s is None else time.monotonic() + options.time_budget_s
    spec = load_target(options.target)
    device = check_target(spec, options)
    from ovenbird.measure.candidates import Builder
    from ovenbird.measure.log_writer import LogWriter
    from ovenbird.tuning.session import Budget, Session

    precision = BACKENDS[spec.kind].precision(options.precision)
    folder = options.output or own_folder(network.name, spec, precision)
    tuner = tuner_of(spec, options)
    with ExitStack() as stack:
        shown = Stoppable(stack.enter_context(display or Display()))
        stack.enter_context(catching(shown.stop))
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ovenbird-tune-")))
        measurer = stack.enter_context(tuner.measurer(device, options.rpc_tracker, options.rpc_key))
        builder = stack.enter_context(Builder(spec, work, processes=tuner.builders(), bench=tuner.bench))
        modules = import_network(network, options)
        provenance = Provenance.of(spec, network.name, kept_options(options), gpu=dict(device))
        mismatch = why_begin_anew(read_provenance(folder), spec, device, precision)
        log = stack.enter_context(LogWriter.open(folder, provenance, spec.tvm_target(), options.resume, mismatch))
        try:
            tasks, chosen = choose_and_lower(modules, tuner, options, log, builder, measurer, shown)
            budget = Budget(options.trials, deadline)
            session = Session(tasks, chosen, tuner, log, builder, measurer, shown, budget, options.seed)
            try:
                session.run()
            finally:
                session.save()
        except KeyboardInterrupt:
            raise TuningInterrupted(
                f"interrupted; every record is kept in {folder}, and the same command goes on from there"
            ) from None
        return report_of(session, folder)


def choose_and_lower(
    modules: Networks,
    tuner: Tuner,
    options: TuneOptions,
    log: LogWriter,
    builder: Builder,
    measurer: Measurer,
    display: Display,
) -> tuple[list[Task], list[Task]]:
    """Measure the choices that nobody measured, lower by all of them; return the tasks, and those to be tuned."""
    from ovenbird.measure.tasks import extract_tasks, select_tasks
    from ovenbird.tuning.table import TuningMoment

    def show(doing: str) -> None:
        display.update(TuningMoment(doing, [], [], 0.0, 0, options.trials, None))

    show("lowering the network")
    if options.choices:
        tuner.measure_choices(modules, log, builder, measurer, show)
        show("lowering the network by what was measured")
    tasks = extract_tasks(tuner.lower(modules, log.choices), modules)
    return tasks, select_tasks(tasks, options.tasks)


def tuner_of(spec: TargetSpec, options: TuneOptions) -> Tuner:
    """Return the tuner of a target's backend, in the precision that it computes in. Raises TargetInvalid."""
    backend = BACKENDS[spec.kind]
    return backend.tuner(spec, backend.precision(options.precision))


def why_begin_anew(old: Provenance | None, spec: TargetSpec, device: Mapping[str, str], precision: Precision) -> str:
    """Return why an earlier log does not go on: another target, a device of another name, another precision."""
    if old is None:
        return ""
    made_in = PRECISIONS.get(old.options.get("precision", ""), "f32")
    if made_in != precision:
        return f"made in {made_in}, this is {precision}"
    if old.gpu.get("name") != device.get("name"):
        return f"made on {old.gpu.get('name', 'a processor')}, this is {device.get('name', 'a processor')}"
    return old.mismatch(spec)


def check_target(spec: TargetSpec, options: TuneOptions) -> Mapping[str, str]:
    """Refuse what cannot be measured: another processor's code without a device; return what a log says of the device.

    Raises UsageError, NoCudaCompiler; DriverMissing, DriverTooOld, GpuMissing, WrongChip, LibraryMissing.
    """
    return BACKENDS[spec.kind].require_measurable(spec, options.rpc_tracker, options.rpc_key)


def kept_options(options: TuneOptions) -> dict[str, Any]:
    """Return the options that the provenance keeps; where the log lies is no part of it."""
    return {
        "target": options.target,
        "trials": options.trials,
        "tasks": options.tasks,
        "batch_sizes": list(options.batch_sizes),
        "seed": options.seed,
        "rpc": options.rpc_tracker is not None,
        "precision": options.precision,
    }


def report_of(session: Any, folder: Path) -> TuneReport:
    """Return the report of a session."""
    from ovenbird.tuning.table import TuningMoment, table_rows

    provenance = session.log.provenance
    moment = TuningMoment("done", session.states, session.entries, session.limit_flops, session.trials, 0, None)
    return TuneReport(
        folder,
        provenance.trials,
        sum(state.failed for state in session.states),
        provenance.latency_ms,
        provenance.arithmetic_limit_gflops,
        table_rows(moment),
    )
