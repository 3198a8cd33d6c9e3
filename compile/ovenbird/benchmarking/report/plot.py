"""The benchmark as a picture: bars where a network was timed once, lines where batch or image size were varied.

draw(benchmark, Path("bench.png"))
"""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from ovenbird.benchmarking.report.markdown import title
from ovenbird.benchmarking.report.results import OWN_NAMES, Benchmark, CaseResult

COLOURS = ("#c8501e", "#e8a27c", "#3a6ea5", "#6aa84f", "#888888", "#aaaaaa", "#cccccc")
MAX_BARS = 12


def draw(benchmark: Benchmark, path: Path) -> bool:
    """Write the picture; return False where matplotlib is not installed or there is nothing to show."""
    cases = [case for case in benchmark.cases if not case.refused]
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        return False
    if not cases:
        return False
    axes = [(axis, name) for axis, name in AXES if len({_value(case, axis) for case in cases}) > 2]
    names = list(dict.fromkeys(name for case in cases for name in case.engines))
    colours = dict(zip([n for n in OWN_NAMES if n in names] + [n for n in names if n not in OWN_NAMES],
                       COLOURS, strict=False))  # fmt: skip
    panels = [(cases, None, "")] if not axes else [(cases, axis, name) for axis, name in axes]
    figure, places = pyplot.subplots(
        1, len(panels), figsize=(9.0 if len(panels) == 1 else 6.5 * len(panels), 4.8), squeeze=False
    )
    for place, (shown, axis, name) in zip(places[0], panels, strict=True):
        if axis is None:
            _bars(place, shown[:MAX_BARS], colours)
        else:
            _lines(place, shown, axis, name, colours)
    figure.suptitle(f"{benchmark.machine['processor']}, {benchmark.date[:10]}, float32", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=130, metadata={"Software": None})
    pyplot.close(figure)
    return True


AXES = (("batch", "batch size"), ("image_size", "image size, pixels"))


def _value(case: CaseResult, axis: str) -> Any:
    return getattr(case.case, axis)


def _bars(place: Any, cases: list[CaseResult], colours: dict[str, str]) -> None:
    """Draw times relative to the fastest peer of each case, with the rounds' extremes, and name each in ms."""
    width = 0.8 / len(colours)
    for index, (engine, colour) in enumerate(colours.items()):
        for x, case in enumerate(cases):
            found = case.engines.get(engine)
            if found is None:
                continue
            base = case.engines[case.fastest_peer].ms.median
            middle = found.ms.median / base
            ends = [[middle - found.ms.low / base], [found.ms.high / base - middle]]
            place.bar(x + index * width, middle, width, yerr=ends, color=colour, error_kw={"lw": 0.8})
            top, number = found.ms.high / base, f"{found.ms.median:.3g} ms"
            place.annotate(number, (x + index * width, top), (0, 2), textcoords="offset points", rotation=90,
                           ha="center", va="bottom", fontsize=6)  # fmt: skip
        place.bar(0, 0, width, color=colour, label=title(engine))
    place.axhline(1.0, color="black", lw=0.8, ls=":")
    place.margins(y=0.15)  # room for the numbers
    place.set_xticks([x + 0.4 - width / 2 for x in range(len(cases))])
    place.set_xticklabels([case.case.label.replace(", ", "\n") for case in cases], fontsize=7)
    place.set_ylabel("time / fastest peer's time (less is better)")
    place.legend(fontsize=7)


def _lines(place: Any, cases: list[CaseResult], axis: str, name: str, colours: dict[str, str]) -> None:
    """Draw milliseconds a row along one axis; a line for each engine and thread count,
    other axes at their first value.
    """
    # elsewhere as most cases are: all batch sizes at the usual image size, all image sizes at one batch size
    fixed = {other: Counter(_value(case, other) for case in cases).most_common(1)[0][0] for other, _ in AXES}
    lines: dict[tuple[str, int], list[tuple[float, float]]] = defaultdict(list)
    for case in cases:
        x = _value(case, axis)
        if any(_value(case, other) != value for other, value in fixed.items() if other != axis):
            continue
        for engine, found in case.engines.items():
            lines[engine, case.case.threads].append((x, found.ms.median / case.case.batch))
    most = max(threads for _, threads in lines)
    for (engine, threads), points in lines.items():
        points.sort()
        place.plot(
            [x for x, _ in points],
            [y for _, y in points],
            marker="o",
            ms=3,
            color=colours[engine],
            ls="-" if threads == most else "--",
            label=f"{title(engine)}, {threads} thread{'s' if threads > 1 else ''}",
        )
    place.set_xlabel(name)
    place.set_ylabel("ms per image")
    place.set_ylim(bottom=0)
    place.legend(fontsize=7)
