"""Figures of a run: rates, times, and what was refused.

figures = figures_of(plan, samples, seconds, batch=1)
print(table([figures]))
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from ..dataclass import dataclass
from .plan import LoadPlan, Sample


@dataclass(frozen=True)
class Figures:
    """One run; times in ms, of the answers with status 200."""

    concurrency: int
    rate: float | None
    batch: int
    seconds: float
    requests: int
    good: int
    per_second: float
    images_per_second: float
    mean_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float
    refused_p99_ms: float
    statuses: dict[str, int]


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` (0 to 1) of the values do not exceed; 0 for none."""
    import numpy as np

    return float(np.quantile(values, share, method="inverted_cdf")) if values else 0.0


def figures_of(plan: LoadPlan, samples: Sequence[Sample], seconds: float, batch: int) -> Figures:
    """Make the figures of a run's samples."""
    good = sorted(took * 1000 for _, status, took in samples if status == 200)
    bad = sorted(took * 1000 for _, status, took in samples if status != 200)
    rate = len(good) / seconds if seconds > 0 else 0.0
    return Figures(
        concurrency=plan.concurrency,
        rate=plan.rate,
        batch=batch,
        seconds=round(seconds, 3),
        requests=len(samples),
        good=len(good),
        per_second=round(rate, 2),
        images_per_second=round(rate * batch, 2),
        mean_ms=round(sum(good) / len(good), 3) if good else 0.0,
        p50_ms=round(percentile(good, 0.5), 3),
        p90_ms=round(percentile(good, 0.9), 3),
        p99_ms=round(percentile(good, 0.99), 3),
        max_ms=round(good[-1], 3) if good else 0.0,
        refused_p99_ms=round(percentile(bad, 0.99), 3),
        statuses={str(status or "none"): count for status, count in sorted(Counter(s for _, s, _ in samples).items())},
    )


_COLUMNS: tuple[tuple[str, Callable[[Figures], str]], ...] = (
    ("at once", lambda f: str(f.concurrency)),
    ("rate/s", lambda f: f"{f.rate:.1f}" if f.rate else "-"),
    ("good", lambda f: str(f.good)),
    ("good/s", lambda f: f"{f.per_second:.1f}"),
    ("images/s", lambda f: f"{f.images_per_second:.1f}"),
    ("mean ms", lambda f: f"{f.mean_ms:.1f}"),
    ("p50", lambda f: f"{f.p50_ms:.1f}"),
    ("p90", lambda f: f"{f.p90_ms:.1f}"),
    ("p99", lambda f: f"{f.p99_ms:.1f}"),
    ("max", lambda f: f"{f.max_ms:.1f}"),
    ("others", lambda f: " ".join(f"{k}:{v}" for k, v in f.statuses.items() if k != "200") or "-"),
)


def table(rows: Sequence[Figures]) -> str:
    """Return the figures as lines of columns."""
    cells = [[name for name, _ in _COLUMNS]] + [[show(row) for _, show in _COLUMNS] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(_COLUMNS))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in cells)
