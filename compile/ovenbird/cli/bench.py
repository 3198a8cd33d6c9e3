"""`ovenbird bench`: time artifacts against ONNX Runtime, OpenVINO and torch, in turn, in one run.

ovenbird bench resnet50 --threads 2,1 --batch-sizes 1,8 -o benchmarks/
ovenbird bench resnet50 --image-sizes 128,224,320 --peers ort,openvino --json
"""

from __future__ import annotations

import shlex
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ovenbird.console import shared_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.benchmarking.report.results import Benchmark
    from ovenbird.benchmarking.running import BenchPlan


@click.command("bench", short_help="Time artifacts against other engines.")
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@shared_options.batch_sizes("1", "Batch sizes to time, as in 1,8.")
@click.option("--threads", help="Thread counts to time, as in 2,1. [default: all processors]")
@click.option("--image-sizes",
              help="Image sizes in pixels, as in 128,224,320; with several batch sizes, those are timed at one image "
              "size, and the other image sizes at the first batch size. [default: the network's own]")  # fmt: skip
@click.option("--peers", default="ort,openvino,ncnn,torch", show_default=True,
              help="Whom to compare with; torch stands for torch-eager,torch-jit,torch-inductor; "
              "ovenbird-tvm is our own engine without the native one.")  # fmt: skip
@click.option("--rounds", type=click.IntRange(1, 100), default=5, show_default=True, help="Rounds in rotated order.")
@click.option("--repeat", "--iterations", type=click.IntRange(1, 100_000),
              help="Timed runs a round. [default: what fits into --duration, 5 to 200 a second]")  # fmt: skip
@click.option("--neighbours", type=click.IntRange(0, 64), default=0, show_default=True,
              help="Threads of other processes that keep the same processors busy meanwhile.")  # fmt: skip
@click.option("--duration", "--seconds", type=click.FloatRange(0.1, 600), default=1.0, show_default=True,
              help="Seconds of each round's timed runs.")  # fmt: skip
@click.option("--warmup", type=click.IntRange(0, 100_000),
              help="Runs before each round's timed ones. [default: 3, and 0.4 s]")  # fmt: skip
@click.option("--target", default="host", show_default=True, help="What to compile for.")
@click.option("--tuning-records", metavar="DIR|none", help="Tuning records to use. [default: those in tuning_logs/]")
@click.option("--untuned", is_flag=True, help="Time the artifact without tuning records as well.")
@click.option("--weights", metavar="FILE|random:SEED", help="[default: the network's own, or random:0 without them]")
@shared_options.trust
@click.option("--precision", metavar="f32|f16|bf16|int8", default="f32", show_default=True,
              help="Of all engines; in int8, ONNX Runtime's quantizer makes the peers' network; in f16 the peers "
              "compute in float32, as ours does on processors.")  # fmt: skip
@click.option("--profile", is_flag=True, help="Time every layer, and rate it against the machine's limits.")
@click.option("--estimates", is_flag=True,
              help="Print each layer's estimated time next to the measured one, and how alike they rank.")  # fmt: skip
@click.option("--footprint/--no-footprint", default=True, show_default=True, help="Look at memory and installed size.")
@click.option("--ablation", is_flag=True,
              help="Compare with no one: time each MODEL without one optimisation after the other. Goes on where "
              "ablation.json of --output stopped.")  # fmt: skip
@click.option("--switches", help="Optimisations that --ablation leaves out in turn, as in folding,winograd. "
              "[default: all]")  # fmt: skip
@click.option("--work", type=click.Path(file_okay=False, path_type=Path),
              help="Keep artifacts and ONNX files here for the next benchmark.")  # fmt: skip
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path),
              help="Write bench.md, bench.json and bench.png into this folder, anew after each case.")  # fmt: skip
@shared_options.quiet
@shared_options.as_json
def command(models: tuple[str, ...], output: Path | None, **options: Any) -> None:
    """Compile each MODEL, check that every engine computes the same, then time all of them in turn.

    MODEL is a built-in name, module:callable, a .pt2 or .onnx file, or the folder of an artifact. Engines run one after
    the other, each in a fresh process on the same inputs, weights, threads and precision; peers that are not installed
    are named and left out. Where outputs disagree, nothing is compared and the exit code is 1.
    """
    from ovenbird.backends.precisions import parse_precision
    from ovenbird.benchmarking.engines import INSTALL_HINT, parse_peers
    from ovenbird.benchmarking.jobs import Runs
    from ovenbird.benchmarking.report.markdown import markdown
    from ovenbird.benchmarking.running import BenchPlan, run_benchmark
    from ovenbird.errors import OutputsDisagree
    from ovenbird.process.interruption import Interruption
    from ovenbird.process.progress import Progress

    plan = BenchPlan(
        models=models,
        batch_sizes=shared_options.parse_batches(options["batch_sizes"]),
        threads=_numbers("--threads", options["threads"], 1, 1024),
        image_sizes=_numbers("--image-sizes", options["image_sizes"], 1, 8192) or None,
        peers=parse_peers(options["peers"]),
        rounds=options["rounds"],
        runs=Runs(options["repeat"], options["duration"], options["warmup"]),
        weights=options["weights"],
        target=options["target"],
        records=options["tuning_records"],
        untuned=options["untuned"],
        profile=options["profile"],
        estimates=options["estimates"],
        footprint=options["footprint"],
        work=options["work"],
        quiet=options["quiet"],
        trust=options["trust"],
        precision=parse_precision(options["precision"]),
        neighbours=options["neighbours"],
    )
    if options["ablation"] or options["switches"]:
        _run_ablation(plan, options, output)
        return
    # SIGTERM unwinds as Ctrl-C does: a worker left behind would disturb whatever is timed next
    with Progress.choose(options["quiet"]) as progress, Interruption(progress) as step:
        benchmark = run_benchmark(plan, _typed(), step, lambda benchmark: _write(benchmark, output))
    _write(benchmark, output)
    if output is not None and not find_spec("matplotlib"):
        click.echo(f"no plot: matplotlib is not installed: {INSTALL_HINT}", err=True)
    click.echo(benchmark.to_json() if options["as_json"] else markdown(benchmark), nl=False)
    refused = [case for case in benchmark.cases if case.refused]
    if refused:
        raise OutputsDisagree(f"{len(refused)} of {len(benchmark.cases)} cases refused: {refused[0].refused}")


def _run_ablation(plan: BenchPlan, options: dict[str, Any], output: Path | None) -> None:
    """Measure and print what each optimisation gains. Raises any CompilerError."""
    from ovenbird.benchmarking.ablation.measuring import run_ablation
    from ovenbird.benchmarking.ablation.results import Ablation
    from ovenbird.benchmarking.ablation.switches import parse_switches
    from ovenbird.benchmarking.ablation.table import ablation_page
    from ovenbird.errors import UsageError
    from ovenbird.process.interruption import Interruption
    from ovenbird.process.progress import Progress

    given = click.get_current_context().get_parameter_source
    for name in ("peers", "image_sizes", "neighbours", "untuned", "precision", "profile", "estimates"):
        if given(name) == click.core.ParameterSource.COMMANDLINE:
            raise UsageError(f"--ablation takes no --{name.replace('_', '-')}")

    def write(found: Ablation) -> None:
        if output is not None:
            _write_texts(output, {"ablation.json": found.to_json(), "ablation.md": ablation_page(found)})

    switches = parse_switches(options["switches"])
    path = output / "ablation.json" if output is not None else None
    with Progress.choose(options["quiet"]) as progress, Interruption(progress) as step:
        found = run_ablation(plan, switches, _typed(), step, path, write)
    write(found)
    click.echo(found.to_json() if options["as_json"] else ablation_page(found), nl=False)


def _numbers(option: str, text: str | None, least: int, most: int) -> tuple[int, ...]:
    """Read numbers with commas between them, in the order given. Raises UsageError."""
    from ovenbird.errors import UsageError

    if text is None:
        return ()
    parts = text.split(",")
    if not all(part.strip().isdecimal() and least <= int(part) <= most for part in parts):
        raise UsageError(f"{option} {text!r}: expected numbers of {least} to {most} with commas between them")
    return tuple(dict.fromkeys(int(part) for part in parts))


def _typed() -> str:
    """Return the command line as it was typed, without the program's folder."""
    own = Path(sys.argv[0]).name in ("ovenbird", "__main__.py")
    return shlex.join(["ovenbird", *sys.argv[1:]]) if own else "ovenbird bench"


def _write(benchmark: Benchmark, output: Path | None) -> None:
    """Write the report of what was measured so far: one that is ended early keeps it. Raises OutputError."""
    from ovenbird.benchmarking.report.markdown import markdown
    from ovenbird.benchmarking.report.plot import draw
    from ovenbird.errors import output_error

    if output is None:
        return
    _write_texts(output, {"bench.md": markdown(benchmark), "bench.json": benchmark.to_json()})
    try:
        draw(benchmark, output / "bench.png")
    except OSError as error:
        raise output_error(error, str(output)) from error


def _write_texts(output: Path, texts: Mapping[str, str]) -> None:
    """Write files into a folder: whoever ends the benchmark finds the last ones whole. Raises OutputError."""
    from ovenbird.errors import output_error
    from ovenbird.replacing import replacing

    try:
        output.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            with replacing(output / name) as partial:
                partial.write_text(text, encoding="utf-8")
    except OSError as error:
        raise output_error(error, str(output)) from error
