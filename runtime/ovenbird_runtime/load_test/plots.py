"""Pictures of load tests (matplotlib): response times in order, latency against load, throughput against concurrency.

write_plots(Path("plots"), figures, samples_of_each)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .figures import Figures
from .plan import Sample


def write_plots(folder: Path, runs: Sequence[Figures], samples: Sequence[Sequence[Sample]]) -> list[Path]:
    """Write the plots that the runs allow; return their paths. Raises ModuleNotFoundError without matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    written = [_sorted(folder / "response-times.png", runs, samples)]
    if len({run.concurrency for run in runs}) > 1:
        written.append(
            _curve(folder / "throughput.png", runs, "concurrency", "images_per_second", "images/s", log=True)
        )
    if len({run.rate for run in runs if run.rate}) > 1:
        written.append(_curve(folder / "latency.png", [r for r in runs if r.rate], "rate", "p99_ms", "p99 in ms"))
    return written


def _axes(x: str, y: str) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)
    axes.set_ylim(bottom=0)
    return figure, axes


def _sorted(path: Path, runs: Sequence[Figures], samples: Sequence[Sequence[Sample]]) -> Path:
    figure, axes = _axes("requests, fastest first (%)", "response time (ms)")
    for run, seen in zip(runs, samples, strict=True):
        times = sorted(took * 1000 for _, status, took in seen if status == 200)
        if times:
            label = f"{run.rate:g}/s" if run.rate else f"{run.concurrency} at once"
            axes.plot([100 * (i + 1) / len(times) for i in range(len(times))], times, label=label)
    axes.set_ylim(bottom=0)
    axes.legend()
    figure.savefig(path, dpi=120)
    return path


def _curve(path: Path, runs: Sequence[Figures], x: str, y: str, label: str, log: bool = False) -> Path:
    figure, axes = _axes({"rate": "requests/s offered"}.get(x, "requests at once"), label)
    points = sorted((getattr(run, x), getattr(run, y)) for run in runs)
    axes.plot(*zip(*points, strict=True), marker="o")
    if log:
        axes.set_xscale("log", base=2)
        axes.set_xticks([p[0] for p in points], [str(p[0]) for p in points])
    axes.set_ylim(bottom=0)
    figure.savefig(path, dpi=120)
    return path
