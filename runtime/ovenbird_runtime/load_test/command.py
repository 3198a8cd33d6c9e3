"""The command `ovenbird-rt load`: how many requests a server answers, and how fast.

ovenbird-rt load http://127.0.0.1:8000 -w 2 -t 8 -i 10
ovenbird-rt load http://127.0.0.1:8000 --slo-ms 100
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from ..errors import OvenbirdError, WrongOption
from ..limits import LOAD_SEARCH_STEPS, LOAD_SECONDS, SERVE_IMAGES_PER_REQUEST
from .client import Target, form_of, parse_url
from .figures import Figures, figures_of, table
from .workers import Plan, Sample, run_load

Run = Callable[[Plan], Figures]


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
@click.option("--plots", type=click.Path(file_okay=False), help="Write plots into this folder.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def load(debug: bool, **options: Any) -> None:
    """Send requests to the server at URL and say how it did.

    The generator takes processor time of its own: on the server's machine its figures are lower bounds.
    """
    try:
        _load(**options)
    except (OvenbirdError, OSError) as error:
        if debug:
            raise
        click.echo(f"error: {type(error).__name__}: {error}", err=True)
        raise SystemExit(1) from None


def _load(
    url: str, model: str | None, images: tuple[str, ...], workers: int, threads: tuple[int, ...], samples: int | None,
    seconds: float | None, batch_size: int, rates: tuple[float, ...], slo_ms: float | None, timeout_ms: int | None,
    plots: str | None, as_json: bool,
) -> None:  # fmt: skip
    host, port, path = parse_url(url)
    path = path or f"/v1/models/{model or _first_model(host, port)}:predict"
    target = Target(host, port, path, timeout_ms or 0)
    pictures = [Path(name).read_bytes() for name in images] or [_made_up()]
    bodies = [form_of([pictures[(i + k) % len(pictures)] for k in range(batch_size)]) for i in range(len(pictures))]
    if (rates or slo_ms) and samples:
        raise WrongOption("--samples counts requests for each thread; --rate and --slo-ms take --time-based")
    seconds = seconds if seconds is not None or samples is not None else LOAD_SECONDS
    runs: list[Figures] = []
    kept: list[list[Sample]] = []

    def run(plan: Plan) -> Figures:
        with _progress(plan, quiet=as_json) as progress:
            found, took = run_load(target, bodies, plan, progress)
        runs.append(figures_of(plan, found, took, batch_size))
        kept.append(found)
        return runs[-1]

    if slo_ms is not None:
        best = _search(run, Plan(workers, max(threads), None, seconds), slo_ms)
    else:
        best = None
        for count in threads:
            for rate in rates or (None,):
                run(Plan(workers, count, samples, seconds, rate))
    written = []
    if plots is not None:
        from .plots import write_plots

        written = write_plots(Path(plots), runs, kept)
    if as_json:
        value = {"url": f"http://{host}:{port}{path}", "runs": [dataclasses.asdict(row) for row in runs]}
        click.echo(json.dumps(value | ({"slo_ms": slo_ms, "best_rate": best} if slo_ms else {}), indent=2))
        return
    click.echo(table(runs))
    if slo_ms is not None:
        click.echo(
            f"highest rate with p99 below {slo_ms:g} ms: {best:.1f} requests/s" if best else "no rate was low enough"
        )
    for name in written:
        click.echo(f"wrote {name}")


def _search(run: Run, plan: Plan, slo_ms: float) -> float | None:
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


def _first_model(host: str, port: int) -> str:
    connection = http.client.HTTPConnection(host, port, timeout=10)
    try:
        connection.request("GET", "/v1/models")
        found = json.loads(connection.getresponse().read())
        return str(found["models"][0]["name"])
    except (ValueError, LookupError, TypeError, http.client.HTTPException) as error:
        raise WrongOption(f"http://{host}:{port}/v1/models names no model ({error}): give --model") from None
    finally:
        connection.close()


def _made_up() -> bytes:
    """Make a JPEG of ImageNet's usual size: smooth, so that it weighs what a photograph weighs."""
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.effect_mandelbrot((500, 375), (-2, -1.2, 1, 1.2), 60).convert("RGB").save(file, "JPEG", quality=90)
    return file.getvalue()


@contextlib.contextmanager
def _progress(plan: Plan, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Show a bar on a terminal, nothing elsewhere."""
    try:
        from rich.progress import Progress
    except ModuleNotFoundError:
        quiet = True
    if quiet:
        yield lambda done: None
        return
    total = plan.samples * plan.concurrency if plan.samples else None
    total = round(plan.rate * plan.seconds) if plan.rate and plan.seconds else total
    name = f"{plan.rate:.1f}/s" if plan.rate else f"{plan.concurrency} at once"
    with Progress(transient=True) as bar:
        task = bar.add_task(name, total=total)
        yield lambda done: bar.update(task, completed=done)
