"""From a network to a tuning log: lowering, the choices before it, tasks, and the session that tunes them.

report = tune_network(load_network("resnet50"), TuneOptions(target="host", trials=500))
report.folder, report.trials, report.latency_ms["main_b1"]["tuned"]
"""

from __future__ import annotations

import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from ovenbird.backends.cuda.local_gpu import describe_gpu, require_gpu
from ovenbird.backends.cuda.options import Precision
from ovenbird.backends.cuda.toolchain import find_nvcc
from ovenbird.errors import TuningInterrupted, UsageError
from ovenbird.interruption import SIGNALS
from ovenbird.networks.network import Network
from ovenbird.records.provenance import Provenance, read_provenance
from ovenbird.records.tuning_records import own_folder
from ovenbird.targets import TargetSpec, load_target
from ovenbird.tuning.table import Display, Stoppable
from ovenbird_runtime.machine.cpu import available_threads, this_machine

if TYPE_CHECKING:
    import tvm

    from ovenbird.tuning.backends import Backend
    from ovenbird.tuning.log_writer import LogWriter
    from ovenbird.tuning.measure.candidates import Builder
    from ovenbird.tuning.measure.measuring import Measurer
    from ovenbird.tuning.tasks import Task
    from ovenbird_runtime.machine.cuda import Gpu

ALL_TASKS = "all"


@dataclass(frozen=True)
class TuneOptions:
    """Options of `ovenbird tune`. `trials`: in all, those of earlier runs included; times in seconds.

    `precision`: of values on a GPU; other targets do not heed it.
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
    precision: Precision = "float32"


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
    from ovenbird.tuning.backends import backend_of
    from ovenbird.tuning.tasks import extract_tasks

    backend = backend_of(load_target(options.target), options.precision)
    return extract_tasks(backend.lower(import_network(network, options), {}))


def import_network(network: Network, options: TuneOptions) -> dict[int, tvm.IRModule]:
    """Return the Relax module of every batch size."""
    sizes = tuple(sorted(set(options.batch_sizes))) if network.batched else (1,)
    return {batch: network.relax(batch) for batch in sizes}


def tune_network(network: Network, options: TuneOptions, display: Display | None = None) -> TuneReport:
    """Tune `network` until the trials or the time are used up. Raises any TuningError; records are never lost."""
    deadline = None if options.time_budget_s is None else time.monotonic() + options.time_budget_s
    spec = load_target(options.target)
    gpu = check_target(spec, options)
    from ovenbird.tuning.backends import backend_of
    from ovenbird.tuning.log_writer import LogWriter
    from ovenbird.tuning.measure.candidates import Builder
    from ovenbird.tuning.session import Budget, Session

    folder = options.output or own_folder(network.name, spec, options.precision)
    backend = backend_of(spec, options.precision)
    with ExitStack() as stack:
        shown = Stoppable(stack.enter_context(display or Display()))
        stack.enter_context(stopping(shown))
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ovenbird-tune-")))
        measurer = stack.enter_context(open_measurer(spec, options, gpu))
        builder = stack.enter_context(Builder(spec, work, processes=builders(spec)))
        modules = import_network(network, options)
        provenance = Provenance.of(
            spec, network.name, told_options(options), gpu=describe_gpu(gpu) if gpu is not None else None
        )
        mismatch = why_begin_anew(read_provenance(folder), spec, gpu, options.precision)
        log = stack.enter_context(LogWriter.open(folder, provenance, spec.tvm_target(), options.resume, mismatch))
        try:
            tasks, chosen = choose_and_lower(modules, backend, options, log, builder, measurer, shown)
            budget = Budget(options.trials, deadline)
            session = Session(tasks, chosen, spec, log, builder, measurer, shown, budget, options.seed, backend=backend)
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
    modules: dict[int, tvm.IRModule],
    backend: Backend,
    options: TuneOptions,
    log: LogWriter,
    builder: Builder,
    measurer: Measurer,
    display: Display,
) -> tuple[list[Task], list[Task]]:
    """Measure the choices that nobody measured, lower by all of them; return the tasks, and those to be tuned."""
    from ovenbird.tuning.table import TuningMoment
    from ovenbird.tuning.tasks import extract_tasks, select_tasks

    def show(doing: str) -> None:
        display.update(TuningMoment(doing, [], [], 0.0, 0, options.trials, None))

    show("lowering the network")
    if options.choices:
        backend.measure_choices(modules, log, builder, measurer, show)
        show("lowering the network by what was measured")
    tasks = extract_tasks(backend.lower(modules, log.choices))
    return tasks, select_tasks(tasks, options.tasks)


def builders(spec: TargetSpec) -> int:
    """Return how many candidates are built side by side: a processor each, where the target
    says how many there are here.
    """
    if spec.kind == "cuda":
        return available_threads()
    return max(spec.cores if spec.name == "host" else 1, 1)


def why_begin_anew(old: Provenance | None, spec: TargetSpec, gpu: Gpu | None, precision: Precision) -> str:
    """Return why an earlier log does not go on: made for another target, on a GPU of
    another name, in another precision.
    """
    if old is None:
        return ""
    if gpu is not None and old.options.get("precision") != precision:
        return f"made in {old.options.get('precision')}, this is {precision}"
    if gpu is not None and old.gpu.get("name") != gpu.name:
        return f"made on {old.gpu.get('name')}, this is {gpu.name}"
    return old.mismatch(spec)


def check_target(spec: TargetSpec, options: TuneOptions) -> Gpu | None:
    """Refuse what cannot be measured: another processor's code without a device. Gives the GPU of a GPU's target.

    Raises UsageError, NoCudaCompiler; DriverMissing, DriverTooOld, GpuMissing, WrongChip, LibraryMissing.
    """
    if spec.kind == "cuda":
        if options.rpc_tracker is not None:
            raise UsageError(
                f"--rpc-tracker: its devices measure code for processors; run `ovenbird tune --target {spec.name}` on "
                "the machine that has the GPU"
            )
        gpu = require_gpu(spec)
        find_nvcc()
        return gpu
    if options.rpc_tracker is not None:
        if not options.rpc_key:
            raise UsageError("--rpc-tracker needs --rpc-key, the key its devices were started with")
        return None
    machine = this_machine()
    if spec.arch != machine.arch:
        raise UsageError(
            f"--target {spec.name} is {spec.arch}, this machine is {machine.arch}; measure on a device (--rpc-tracker)"
        )
    missing = sorted(set(spec.features) - machine.features)
    if missing:
        raise UsageError(
            f"--target {spec.name} needs {', '.join(missing)}, which this processor lacks; use --rpc-tracker"
        )
    return None


def open_measurer(spec: TargetSpec, options: TuneOptions, gpu: Gpu | None) -> Any:
    """Return the measurer that the options and the target ask for."""
    if gpu is not None:
        from ovenbird.tuning.measure.gpu_measuring import GpuMeasurer

        return GpuMeasurer(spec, gpu)
    if options.rpc_tracker is not None:
        from ovenbird.tuning.measure.remote import RemoteMeasurer, Tracker

        return RemoteMeasurer(spec, Tracker(options.rpc_tracker, options.rpc_key))
    from ovenbird.tuning.measure.measuring import LocalMeasurer

    return LocalMeasurer(spec)


def told_options(options: TuneOptions) -> dict[str, Any]:
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


@contextmanager
def stopping(run: Stoppable) -> Iterator[None]:
    """Make Ctrl-C, SIGTERM and a closed terminal end the run at its next step, a second one at once; only a main thread
    can.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        if run.requested:
            raise KeyboardInterrupt
        run.requested = True

    caught = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, stop) for number in caught}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
