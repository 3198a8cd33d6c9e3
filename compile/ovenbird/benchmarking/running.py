"""One benchmark from its options to its results: prepare networks, measure limits, time every case, look at memory.

benchmark = run_benchmark(BenchPlan(models=("resnet50",), threads=(2, 1)), "ovenbird bench resnet50", progress)
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import itertools
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ovenbird.benchmarking.engines import INSTALL_HINT, OWN, OWN_UNTUNED, PEERS, BenchEngine, find_engine
from ovenbird.benchmarking.estimates import with_estimates
from ovenbird.benchmarking.footprint import footprint, installed_bytes
from ovenbird.benchmarking.jobs import ARTIFACT_FOLDER, Job, Runs, inputs_file
from ovenbird.benchmarking.layer_profile import explain
from ovenbird.benchmarking.machine.roofline import limits_in
from ovenbird.benchmarking.preparing import LAYERS_FILE, PrepareRequest
from ovenbird.benchmarking.report import machine
from ovenbird.benchmarking.report.results import Benchmark, CaseResult, case_result
from ovenbird.benchmarking.rounds import BenchCase, measure_case
from ovenbird.benchmarking.worker_processes import run_module, run_preparing
from ovenbird.errors import EngineFailed, NoPeers, OutputsDisagree, UsageError
from ovenbird.process.progress import Progress
from ovenbird_runtime.manifest.agreement import Precision

LIMITS_S, PROFILE_S = 240.0, 240.0
PROFILE_RUNS = 15
USUAL_IMAGE_SIZE = 224
PUBLISHED = ("weights", "random", "weights_detail", "framework", "source", "tuned", "precision")
"""What a result says of a network; the rest are places on this machine."""


@dataclass(frozen=True)
class BenchPlan:
    """What `ovenbird bench` was asked for. `image_sizes`: None for the networks' own; `work`: None for a passing."""

    models: tuple[str, ...]
    batch_sizes: tuple[int, ...] = (1,)
    threads: tuple[int, ...] = ()
    image_sizes: tuple[int, ...] | None = None
    peers: tuple[str, ...] = PEERS
    rounds: int = 5
    runs: Runs = field(default_factory=Runs)
    weights: str | None = None
    target: str = "host"
    records: str | None = None
    untuned: bool = False
    profile: bool = False
    estimates: bool = False
    footprint: bool = True
    work: Path | None = None
    quiet: bool = False
    trust: bool = False
    precision: Precision = "f32"
    neighbours: int = 0


def usable_processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0))


def plain_name(model: str) -> str:
    """Return a name for a network's folder, from whatever the user called it."""
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in Path(model).name)


def installed_peers(names: tuple[str, ...]) -> tuple[list[BenchEngine], dict[str, str]]:
    """Return the peers that are installed, and why the others are left out. Raises NoPeers where none is."""
    found, skipped = [], {}
    for engine in map(find_engine, names):
        package = engine.missing()
        if package:
            skipped[engine.name] = f"{package} is not installed ({INSTALL_HINT})"
        else:
            found.append(engine)
    if not found:
        raise NoPeers(f"no peer to compare with: {'; '.join(skipped.values())}")
    return found, skipped


def run_benchmark(
    plan: BenchPlan, command: str, step: Progress, measured: Callable[[Benchmark], None] = lambda benchmark: None
) -> Benchmark:
    """Measure everything the plan asks for; call `measured` after each case, with what there is until then.

    Raises any CompilerError; outputs that disagree are noted in their case.
    """
    here = usable_processors()
    threads = plan.threads or (here,)
    if max(threads) > here:
        raise UsageError(f"--threads {max(threads)}: this process may use {here} processors")
    peers, skipped = installed_peers(plan.peers)
    options = {key: value for key, value in dataclasses.asdict(plan).items() if key not in ("work", "quiet")} | {
        "threads": threads
    }
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    benchmark = Benchmark(command, date, machine.describe(), options, skipped=skipped)
    with work_folder(plan) as work:
        prepared = _prepare_all(plan, work, benchmark, step)
        for count in sorted(threads, reverse=True):
            step(f"measuring what {count} thread{'s' if count > 1 else ''} can do")
            _measure_limits(plan, count, benchmark)
        for (label, size), (folder, network) in prepared.items():
            engines = _engines_for(network, peers)
            batches = batches_at(plan, size) if network["batched"] else (1,)
            for count, batch in itertools.product(sorted(threads, reverse=True), batches):
                case = BenchCase(label, batch, count, size, plan.neighbours)
                usable, left_out = _able(network, engines, batch)
                benchmark.cases.append(_measure(case, folder, usable, left_out, plan, step))
                measured(benchmark)
            if plan.footprint:
                benchmark.footprints[_key(label, size)] = _footprints(folder, engines, benchmark, (label, size), step)
            if plan.profile or plan.estimates:
                _measure_limits(plan, max(threads), benchmark)  # the clock may be another by now
                _profile(BenchCase(label, batches[0], max(threads), size), folder, network, benchmark, step, plan)
    return benchmark


def _measure_limits(plan: BenchPlan, threads: int, benchmark: Benchmark) -> None:
    """Note what the machine can do on `threads` threads; of several measurements, the greater."""
    found = run_module("ovenbird.benchmarking.machine.roofline", [plan.target, str(threads)], threads, LIMITS_S)
    before = benchmark.limits.get(str(threads), {})
    benchmark.limits[str(threads)] = {name: max(value, before.get(name, 0.0)) for name, value in found.items()}


@contextlib.contextmanager
def work_folder(plan: BenchPlan) -> Iterator[Path]:
    """Yield the folder that artifacts and ONNX files are kept in: the one asked for, or one that goes away."""
    if plan.work is not None:
        plan.work.mkdir(parents=True, exist_ok=True)
        yield plan.work
        return
    with tempfile.TemporaryDirectory(prefix="ovenbird-bench-") as folder:
        yield Path(folder)


def batches_at(plan: BenchPlan, size: int | None) -> tuple[int, ...]:
    """Return the batch sizes to time at an image size: all at the usual one (else the
    first asked for), one elsewhere.
    """
    if plan.image_sizes is None:
        return plan.batch_sizes
    base = USUAL_IMAGE_SIZE if USUAL_IMAGE_SIZE in plan.image_sizes else plan.image_sizes[0]
    return plan.batch_sizes if size == base else plan.batch_sizes[:1]


def _key(label: str, size: int | None) -> str:
    return label if size is None else f"{label} at {size}"


def _prepare_all(
    plan: BenchPlan, work: Path, benchmark: Benchmark, step: Progress
) -> dict[tuple[str, int | None], tuple[Path, dict[str, Any]]]:
    """Prepare every network at every image size; return the folders and what is known of the networks."""
    prepared: dict[tuple[str, int | None], tuple[Path, dict[str, Any]]] = {}
    sizes = plan.image_sizes or (None,)
    for model, size in itertools.product(plan.models, sizes):
        step(f"preparing {_key(model, size)}")
        plain = plain_name(model)
        named = plain if plan.precision == "f32" else f"{plain}-{plan.precision}"
        folder = work / (named if size is None else f"{named}-{size}")
        network = run_preparing(
            PrepareRequest(
                folder=str(folder),
                model=model,
                batch_sizes=batches_at(plan, size),
                image_size=size,
                weights=plan.weights,
                target=plan.target,
                records=plan.records,
                untuned=plan.untuned,
                quiet=plan.quiet,
                trust=plan.trust,
                precision=plan.precision,
            )
        )
        prepared[network["name"], size] = folder, network
        benchmark.networks[_key(network["name"], size)] = {key: network[key] for key in PUBLISHED}
    return prepared


def _engines_for(network: dict[str, Any], peers: list[BenchEngine]) -> list[BenchEngine]:
    own = [find_engine(OWN)] + ([find_engine(OWN_UNTUNED)] if network["untuned_folder"] else [])
    return own + peers


def _able(network: dict[str, Any], engines: list[BenchEngine], batch: int) -> tuple[list[BenchEngine], dict[str, str]]:
    """Return the engines that can take the network, and why the others cannot."""
    able, left_out = [], {}
    for engine in engines:
        why = network["onnx"].get(str(batch), "") if engine.needs == "onnx" else ""
        if engine.needs == "torch" and network["framework"] != "torch":
            why = f"the network came from {network['framework']}"
        if network["precision"] not in engine.precisions:
            why = f"it does not compute in {network['precision']} here"
        if why:
            left_out[engine.name] = why
        else:
            able.append(engine)
    return able, left_out


def _measure(
    case: BenchCase,
    folder: Path,
    engines: list[BenchEngine],
    left_out: dict[str, str],
    plan: BenchPlan,
    step: Progress,
) -> CaseResult:
    """Time one case; a case whose outputs disagree is refused, the others go on."""
    try:
        measured = measure_case(case, folder, engines, plan.rounds, plan.runs, step)
    except OutputsDisagree as error:
        return CaseResult(case, {}, {}, skipped=left_out, refused=str(error))
    measured.skipped.update(left_out)
    return case_result(measured)


def _footprints(
    folder: Path, engines: list[BenchEngine], benchmark: Benchmark, network: tuple[str, int | None], step: Progress
) -> dict[str, Any]:
    """Return memory, size on disk and cold start of every engine that was timed on this network."""
    cases = [c for c in benchmark.cases if (c.case.model, c.case.image_size) == network and not c.refused]
    found: dict[str, Any] = {}
    if not cases:
        return found
    case = min(cases, key=lambda c: (c.case.batch, -c.case.threads))
    for engine in engines:
        result = case.engines.get(engine.name)
        # torch's three ways take the same memory, but for inductor's compiler
        if result is None or engine.name in (OWN_UNTUNED, "torch-jit", "torch-inductor"):
            continue
        step(f"looking at the memory of {engine.title}")
        precision = benchmark.networks[_key(*network)]["precision"]
        job = Job(engine.name, str(folder), case.case.batch, case.case.threads, precision=precision, hold=True)
        try:
            taken: dict[str, Any] = dict(footprint(job, engine.start_limit_s))
        except EngineFailed:
            continue
        found[engine.name] = taken | {
            "installed_bytes": installed_bytes(engine.distributions),
            "load_first_s": result.load_s + result.first_s,
            "process_s": result.process_s,
        }
    return found


def _profile(
    case: BenchCase, folder: Path, network: dict[str, Any], benchmark: Benchmark, step: Progress, plan: BenchPlan
) -> None:
    """Add the tables that `plan` asks for of one case's layers."""
    step(f"{case.label}: timing every layer")
    arguments = [
        network["artifact"], str(inputs_file(folder, case.batch)), str(case.batch), str(case.threads), str(PROFILE_RUNS)
    ]  # fmt: skip
    rows = run_module("ovenbird.benchmarking.layer_profile", arguments, case.threads, PROFILE_S)["rows"]
    layers_file = folder / f"{ARTIFACT_FOLDER}.{LAYERS_FILE}"
    layers = json.loads(layers_file.read_text(encoding="utf-8")) if layers_file.is_file() else {}
    limits = limits_in(network["precision"], benchmark.limits[str(case.threads)])
    explained = explain(rows, layers, limits)
    if plan.profile:
        benchmark.profiles[case.label] = explained
    if plan.estimates:
        benchmark.estimates[case.label] = with_estimates(explained, layers, limits)
