"""The measurements: both artifacts of each switch prepared, verified, then timed in turns of fresh processes.

    ablation = run_ablation(plan, parse_switches(None), command, step, path)

Rows go into a file as they are found; a second run goes on with those that it lacks.
"""

from __future__ import annotations

import datetime
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ovenbird.benchmarking.ablation.preparing import PreparedVariant, Variants
from ovenbird.benchmarking.ablation.results import Ablation, AblationRow, MeasuredSide, measured_row
from ovenbird.benchmarking.ablation.switches import Switch
from ovenbird.benchmarking.agreement import Expected
from ovenbird.benchmarking.engines import OWN
from ovenbird.benchmarking.jobs import Job
from ovenbird.benchmarking.report import machine
from ovenbird.benchmarking.report.statistics import spread
from ovenbird.benchmarking.rounds import rotated, run_limit
from ovenbird.benchmarking.running import PUBLISHED, BenchPlan, plain_name, usable_processors, work_folder
from ovenbird.benchmarking.worker_processes import run_worker
from ovenbird.errors import CompilerError, UsageError
from ovenbird.process.progress import Progress


def run_ablation(
    plan: BenchPlan,
    switches: Sequence[Switch],
    command: str,
    step: Progress,
    path: Path | None,
    measured: Callable[[Ablation], None] = lambda ablation: None,
) -> Ablation:
    """Measure the rows that the file at `path` lacks; call `measured` behind each. Raises any CompilerError.

    A side that cannot be compiled, or whose answers are not the network's, is noted in its row.
    """
    here = usable_processors()
    threads, batch = _one("--threads", plan.threads or (here,)), _one("--batch-sizes", plan.batch_sizes)
    if threads > here:
        raise UsageError(f"--threads {threads}: this process may use {here} processors")
    settings = {"threads": threads, "batch": batch, "target": plan.target, "weights": plan.weights}
    ablation = Ablation(command, machine.describe(), settings)
    if path is not None and path.is_file():
        before = Ablation.read(path)
        before.require_like(ablation, path)
        ablation = before
    with work_folder(plan) as work:
        for model in plan.models:
            variants = Variants(plan, model, work, step)
            for switch in switches:
                if ablation.row(plain_name(model), switch.name) is None:
                    ablation.rows.append(_measure_row(plan, plain_name(model), switch, variants, ablation, step))
                    measured(ablation)
    return ablation


def _one(option: str, values: Sequence[int]) -> int:
    if len(values) != 1:
        raise UsageError(f"{option} {','.join(map(str, values))}: --ablation measures one")
    return values[0]


def _measure_row(
    plan: BenchPlan, network: str, switch: Switch, variants: Variants, ablation: Ablation, step: Progress
) -> AblationRow:
    """Return the row of one network and one switch."""
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    usual = variants.prepare({})
    ablation.networks.setdefault(network, {key: usual.facts[key] for key in PUBLISHED})
    if switch.off.get("records") == "none" and not usual.facts["tuned"]["tuned"]:
        return AblationRow(network, switch.name, date, note="no tuning records of it for this processor")
    try:
        on, off = variants.prepare(switch.on), variants.prepare(switch.off)
        if on.digests == off.digests:
            return AblationRow(network, switch.name, date, note="nothing to leave out: the same code and weights")
        return _time(plan, (on, off), AblationRow(network, switch.name, date), ablation.settings, step)
    except CompilerError as error:
        return AblationRow(network, switch.name, date, note=f"{type(error).__name__}: {error}")


def _time(
    plan: BenchPlan,
    sides: tuple[PreparedVariant, PreparedVariant],
    row: AblationRow,
    settings: Mapping[str, Any],
    step: Progress,
) -> AblationRow:
    """Time both artifacts, each first in every other round. Raises OutputsDisagree, EngineFailed."""
    times: tuple[list[float], list[float]] = ([], [])
    errors = [0.0, 0.0]
    for turn in range(plan.rounds):
        step(f"{row.network}: timing with and without {row.switch}", turn, plan.rounds)
        for place in map(int, rotated("01", turn)):
            side = sides[place]
            job = Job(OWN, str(side.folder), settings["batch"], settings["threads"], plan.runs)
            answer, outputs = run_worker(job, run_limit(plan.runs))
            error = Expected.read(side.folder, job.batch).check(OWN, outputs)
            errors[place] = max(errors[place], error)
            times[place].append(statistics.median(answer.times_ms))
    with_it, without_it = (
        MeasuredSide(spread(times[place]), errors[place], side.kernels, side.bytes) for place, side in enumerate(sides)
    )
    return measured_row(row, (with_it, without_it), times)
