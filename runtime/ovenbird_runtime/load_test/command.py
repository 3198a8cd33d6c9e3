"""The command `ovenbird-rt load`: how many requests a server answers, and how fast.

ovenbird-rt load http://127.0.0.1:8000 -w 2 -t 8 -i 10
ovenbird-rt load http://127.0.0.1:8000 --slo-ms 100
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from ..console.output import fails
from ..console.signals import exit_if_signalled
from ..errors import OvenbirdError, WrongOption
from ..limits import LOAD_ANSWER_SECONDS, LOAD_SEARCH_STEPS, LOAD_SECONDS, SERVE_IMAGES_PER_REQUEST
from .client import ServerAddress, first_model, form_of, parse_url
from .figures import Figures, figures_of, table
from .plan import LoadFailed, LoadPlan, Sample
from .workers import run_load

Run = Callable[[LoadPlan], Figures]


@click.command("load")
@click.argument("url")
@click.option("--model", metavar="NAME", help="Model to ask [the server's first].")
@click.option(
    "--image",
    "images",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False),
    help="Picture to send; repeatable [a made-up one].",
)
@click.option("-w", "--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
@click.option(
    "-t",
    "--threads",
    type=click.IntRange(1),
    multiple=True,
    default=(1,),
    show_default=True,
    help="Threads a process; repeatable, one run each.",
)
@click.option("-s", "--samples", type=click.IntRange(1), help="Requests for each thread.")
@click.option(
    "-i",
    "--time-based",
    "seconds",
    type=click.FloatRange(0.1),
    help=f"Seconds for each run [{LOAD_SECONDS:g}, where no samples are given].",
)
@click.option(
    "-b",
    "--batch-size",
    type=click.IntRange(1, SERVE_IMAGES_PER_REQUEST),
    default=1,
    show_default=True,
    help="Images a request.",
)
@click.option(
    "--rate",
    "rates",
    type=click.FloatRange(0.01),
    multiple=True,
    help="Requests/s that come whatever the server does (Poisson); repeatable.",
)
@click.option("--slo-ms", type=click.FloatRange(0.1), help="Search the highest rate whose p99 stays below this.")
@click.option("--timeout-ms", type=click.IntRange(1), help="X-Request-Timeout-Ms of each request.")
@click.option(
    "--answer-seconds",
    type=click.FloatRange(0.1),
    default=LOAD_ANSWER_SECONDS,
    show_default=True,
    help="Longest wait for an answer; a server that gives none for so long ends the test.",
)
@click.option("--plots", type=click.Path(file_okay=False), help="Write plots into this folder.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def load(debug: bool, **options: Any) -> None:
    """Send requests to the server at URL and say how it did.

    The generator takes processor time of its own: on the server's machine its figures are lower bounds.
    """
    try:
        _load(**options)
    except BrokenPipeError:
        raise
    except (OvenbirdError, OSError) as error:
        exit_if_signalled()
        if debug or fails(error):
            raise
        click.echo(f"error: {type(error).__name__}: {error}", err=True)
        raise SystemExit(1) from None


def _load(
    url: str, model: str | None, images: tuple[str, ...], workers: int, threads: tuple[int, ...], samples: int | None,
    seconds: float | None, batch_size: int, rates: tuple[float, ...], slo_ms: float | None, timeout_ms: int | None,
    answer_seconds: float, plots: str | None, as_json: bool,
) -> None:  # fmt: skip
    host, port, path = parse_url(url)
    if plots is not None and importlib.util.find_spec("matplotlib") is None:
        raise WrongOption("--plots draws with matplotlib, which is not installed (extra load)")
    path = path or f"/v1/models/{quote(model or first_model(host, port), safe='')}:predict"
    target = ServerAddress(host, port, path, timeout_ms or 0)
    pictures = [Path(name).read_bytes() for name in images] or [_made_up()]
    bodies = [form_of([pictures[(i + k) % len(pictures)] for k in range(batch_size)]) for i in range(len(pictures))]
    if (rates or slo_ms) and samples:
        raise WrongOption("--samples counts requests for each thread; --rate and --slo-ms take --time-based")
    seconds = seconds if seconds is not None or samples is not None else LOAD_SECONDS
    plan = LoadPlan(workers, max(threads), samples, seconds, answer_seconds=answer_seconds)
    runs: list[Figures] = []
    kept: list[list[Sample]] = []

    def keep(plan: LoadPlan, found: list[Sample], took: float) -> Figures:
        runs.append(figures_of(plan, found, took, batch_size))
        kept.append(found)
        return runs[-1]

    def run(plan: LoadPlan) -> Figures:
        try:
            with _progress(plan, quiet=as_json) as progress:
                return keep(plan, *run_load(target, bodies, plan, progress))
        except LoadFailed as error:
            keep(plan, error.samples, error.seconds)
            raise

    best, failure = None, None
    try:
        if slo_ms is not None:
            best = _search(run, plan, slo_ms)
        else:
            for count in threads:
                for rate in rates or (None,):
                    run(dataclasses.replace(plan, threads=count, rate=rate))
    except LoadFailed as error:
        failure = error  # what was measured is printed first
    written = []
    if plots is not None:
        from .plots import write_plots

        written = write_plots(Path(plots), runs, kept)
    if as_json:
        value = {"url": f"http://{host}:{port}{path}", "runs": [dataclasses.asdict(row) for row in runs]}
        click.echo(json.dumps(value | ({"slo_ms": slo_ms, "best_rate": best} if slo_ms else {}), indent=2))
    else:
        click.echo(table(runs))
        if slo_ms is not None and failure is None:
            click.echo(
                f"highest rate with p99 below {slo_ms:g} ms: {best:.1f} requests/s"
                if best
                else "no rate was low enough"
            )
        for name in written:
            click.echo(f"wrote {name}")
    if failure is not None:
        raise failure


def _search(run: Run, plan: LoadPlan, slo_ms: float) -> float | None:
    """Find the highest rate that keeps p99 below the objective: by doubling, then by halving the interval."""

    def good(rate: float) -> bool:
        figures = run(dataclasses.replace(plan, rate=rate))
        return figures.good == figures.requests and 0 < figures.p99_ms <= slo_ms

    alone = run(dataclasses.replace(plan, workers=1, threads=1))
    low, high = 0.0, max(1.0, alone.per_second / 2)
    while good(high):
        low, high = high, high * 2
    for _ in range(LOAD_SEARCH_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if good(middle) else (low, middle)
    return low or None


def _made_up() -> bytes:
    """Make a JPEG of ImageNet's usual size: smooth, so that it weighs what a photograph weighs."""
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.effect_mandelbrot((500, 375), (-2, -1.2, 1, 1.2), 60).convert("RGB").save(file, "JPEG", quality=90)
    return file.getvalue()


@contextlib.contextmanager
def _progress(plan: LoadPlan, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Show a bar on a terminal, nothing elsewhere."""
    try:
        from rich.console import Console
        from rich.progress import Progress
    except ModuleNotFoundError:
        quiet = True
    if quiet or not (console := Console(stderr=True)).is_terminal:
        yield lambda done: None
        return
    total = plan.samples * plan.concurrency if plan.samples else None
    total = round(plan.rate * plan.seconds) if plan.rate and plan.seconds else total
    name = f"{plan.rate:.1f}/s" if plan.rate else f"{plan.concurrency} at once"
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task(name, total=total)
        yield lambda done: bar.update(task, completed=done)
