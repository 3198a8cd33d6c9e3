"""`ovenbird tune`: search for faster schedules of a network's functions, by measuring them.

ovenbird tune resnet50 --target host --trials 500
ovenbird tune resnet50 --target host --tasks list
ovenbird tune resnet50 --target cortex-a72 --rpc-tracker 10.0.0.5:9190 --rpc-key pi4
ovenbird tune resnet50 --target cuda-sm90 --precision f16          # on the machine that has the GPU
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ovenbird.console import shared_options

if TYPE_CHECKING:
    from ovenbird.measure.tasks import Task
    from ovenbird.tuning.run import TuneOptions, TuneReport


@click.command("tune", short_help="Search for faster schedules, by measuring them.")
@click.argument("model")
@click.option("--target", default="host", show_default=True, help="What to generate code for.")
@click.option("--trials", type=click.IntRange(min=1), default=1000, show_default=True,
              help="Schedules to measure in all, those of earlier runs included.")  # fmt: skip
@click.option("--tasks", default="all", show_default=True, metavar="all|list|SELECTION",
              help='Which functions to tune: "0,3-5" by number, "conv2d" by name; list shows them.')  # fmt: skip
@click.option(
    "--time-budget", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="Stop after this time."
)
@click.option("--resume/--no-resume", default=True, show_default=True,
              help="Go on from the log that there is, or move it aside and begin anew.")  # fmt: skip
@shared_options.batch_sizes("1,8", "Batch sizes to tune for.")
@click.option("--choices/--no-choices", default=True, show_default=True,
              help="Measure which algorithm computes each 3x3 convolution first.")  # fmt: skip
@shared_options.precision
@click.option("--rpc-tracker", metavar="HOST:PORT", help="Measure on the devices of this TVM RPC tracker.")
@click.option("--rpc-key", default="", metavar="KEY", help="The key the devices were started with.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the search.")
@shared_options.network_options
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False),
              help="The log's folder. [default: tuning_logs/TARGET/MODEL]")  # fmt: skip
@shared_options.quiet
@shared_options.as_json
def command(model: str, **options: Any) -> None:
    """Tune MODEL for a target and keep the records, which `ovenbird compile` then uses.

    Every schedule is measured alone, in a process of its own, and recorded at once: Ctrl-C or a crash loses nothing,
    and the same command goes on. MODEL is what `ovenbird compile` takes.
    """
    from ovenbird.backends.precisions import check_precision, parse_precision
    from ovenbird.backends.table import BACKENDS
    from ovenbird.errors import UsageError
    from ovenbird.loading.load import load_network
    from ovenbird.targets import load_target
    from ovenbird.tuning.run import TuneOptions, check_target, list_tasks, tune_network
    from ovenbird.tuning.table import Display

    tune_options = TuneOptions(
        target=options["target"],
        trials=options["trials"],
        tasks=options["tasks"],
        time_budget_s=options["time_budget"],
        resume=options["resume"],
        rpc_tracker=options["rpc_tracker"],
        rpc_key=options["rpc_key"],
        batch_sizes=shared_options.parse_batches(options["batch_sizes"]),
        output=options["output"],
        choices=options["choices"],
        seed=options["seed"],
        precision=parse_precision(options["precision"]),
    )
    spec = load_target(tune_options.target)
    check_precision(tune_options.precision, [spec])
    recorded = BACKENDS[spec.kind].recorded(tune_options.precision)
    if recorded != tune_options.precision:
        raise UsageError(
            f"--precision {tune_options.precision}: on {spec.name} it takes the records of {recorded}; tune in that"
        )
    if tune_options.precision == "int8":
        raise UsageError("--precision int8: there is no search for int8; it is compiled by its default schedules")
    listing = tune_options.tasks == "list"
    if not listing:
        check_target(spec, tune_options)  # a wrong name is said before the network is loaded
    network = load_network(model, shared_options.read_network_options(options))
    if listing:
        _print_tasks(list_tasks(network, tune_options), options["as_json"])
        return
    report = tune_network(network, tune_options, Display.choose(options["quiet"]))
    if options["as_json"]:
        _print_json(report)
    else:
        _print_report(report, tune_options)


def _print_tasks(tasks: list[Task], as_json: bool) -> None:
    if as_json:
        import json

        rows = [{"index": t.index, "task": t.title, "flops": t.layer.flops, "calls": t.calls} for t in tasks]
        click.echo(json.dumps(rows, indent=2))
        return
    for task in tasks:
        calls = ", ".join(f"{entry} x{count}" for entry, count in task.calls.items())
        click.echo(f"{task.index:4}  {task.title:44} {task.layer.flops / 1e6:10.1f} MFLOP  {calls}")


def _print_json(report: TuneReport) -> None:
    import json

    document = {
        "folder": str(report.folder),
        "trials": report.trials,
        "failed": report.failed,
        "latency_ms": report.latency_ms,
        "arithmetic_limit_gflops": report.arithmetic_limit_gflops,
    }
    click.echo(json.dumps(document, indent=2))


def _print_report(report: TuneReport, options: TuneOptions) -> None:
    from ovenbird.tuning.table import HEADINGS

    rows = [HEADINGS, *report.rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    for row in rows:
        cells = [cell.ljust(w) if i < 2 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))]
        click.echo("  ".join(cells).rstrip())
    failed = f", {report.failed} failed" if report.failed else ""
    limit = f", limit {report.arithmetic_limit_gflops:.0f} GFLOP/s" if report.arithmetic_limit_gflops else ""
    click.echo(f"{report.folder}: {report.trials} trials{failed}{limit}")
    for entry, times in report.latency_ms.items():
        gain = f", {times['default'] / times['tuned']:.2f}x" if times["tuned"] else ""
        click.echo(f"{entry}: {times['tuned']:.3f} ms tuned, {times['default']:.3f} ms by default schedules{gain}")
