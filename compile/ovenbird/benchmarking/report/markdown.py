"""The benchmark in words and tables: Markdown, for people and for the README.

print(markdown(benchmark))
summary_lines(benchmark)        # one row a case, the table that README.md shows
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from ovenbird.benchmarking.engines import OWN, OWN_UNTUNED, find_engine
from ovenbird.benchmarking.estimates import rank_correlation
from ovenbird.benchmarking.report.results import OWN_NAMES, Benchmark, CaseResult, EngineResult
from ovenbird.benchmarking.report.statistics import Spread

PROFILE_ROWS = 25

OTHER_LIMITS = {"int8_gops": "G operations/s of 8 bits", "bf16_gflops": "GFLOP/s of bfloat16"}
"""Of arithmetic that some processors have, and what it counts in."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a Markdown table; the first column is left-aligned, the others right-aligned."""
    lines = ["| " + " | ".join(head) + " |", "|" + "|".join(["---", *["---:"] * (len(head) - 1)]) + "|"]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def title(engine: str) -> str:
    """Return an engine's name as people write it."""
    return find_engine(engine).title


def markdown(benchmark: Benchmark) -> str:
    """Return the whole report."""
    lines = ["# Benchmark", "", f"`{benchmark.command}`", "", *provenance_lines(benchmark), ""]
    if len(benchmark.cases) > 1:
        lines += ["## Summary", "", *summary_lines(benchmark), "", *mean_lines(benchmark), ""]
    for case in benchmark.cases:
        lines += [f"## {case.case.label}", "", *case_lines(case), ""]
    for name, reason in benchmark.skipped.items():
        lines += [f"- left out: {title(name)}: {reason}"]
    if benchmark.footprints:
        lines += ["## Start, memory and size", "", *footprint_lines(benchmark), ""]
    for label, rows in benchmark.profiles.items():
        lines += [f"## Layers of {label}", "", *profile_lines(rows), ""]
    for label, rows in benchmark.estimates.items():
        lines += [f"## Estimates of {label}", "", *estimate_lines(rows), ""]
    return "\n".join(lines).rstrip() + "\n"


def provenance_lines(benchmark: Benchmark) -> list[str]:
    """Return where and how it was measured."""
    machine, options = benchmark.machine, benchmark.options
    lines = [
        f"{benchmark.date}; {machine['processor']}, {machine['processors']} processors; {machine['system']}; "
        f"Python {machine['python']}.",
        f"{options['rounds']} round{'s' if options['rounds'] > 1 else ''}; in each, every engine runs in a fresh "
        "process, one alive at a time, in an order that "
        "rotates. Milliseconds are medians of the rounds' medians, with the least and the greatest round; "
        "ratios are Ovenbird's time over the peer's, paired by round (below 1: Ovenbird is faster). Computed in "
        f"{' and '.join(sorted({network.get('precision', 'f32') for network in benchmark.networks.values()}))}.",
    ]
    for threads, limits in benchmark.limits.items():
        lines.append(
            f"Measured limits with {threads} thread{'s' if threads != '1' else ''}: "
            f"{limits['gflops']:.0f} GFLOP/s in registers, {limits['gbytes_per_s']:.0f} GB/s from memory"
            + "".join(f", {limits[key]:.0f} {text}" for key, text in OTHER_LIMITS.items() if key in limits)
            + "."
        )
    for name, network in benchmark.networks.items():
        tuned = network["tuned"]
        said = "an artifact that was given" if tuned is None else (
            f"{tuned['tuned']} layers tuned, {tuned['default']} by default schedules, {tuned['stale']} stale records"
        )  # fmt: skip
        random = "; RANDOM WEIGHTS" if network["random"] else ""
        lines.append(f"{name}: {said}{random} ({network['weights_detail']}).")
    return [f"- {line}" for line in lines]


def spread_text(found: Spread, digits: int = 2) -> str:
    """Return a median with its extremes."""
    return f"{found.median:.{digits}f} ({found.low:.{digits}f}–{found.high:.{digits}f})"


def summary_lines(benchmark: Benchmark) -> list[str]:
    """Return one row a case: every engine's milliseconds, and the ratio to the fastest peer."""
    order = [name for name in _engine_order(benchmark) if any(name in case.engines for case in benchmark.cases)]
    head = ["case", *(f"{title(name)}, ms" for name in order), "fastest peer", "ratio to it"]
    rows = []
    for case in benchmark.cases:
        if case.refused:
            rows.append([case.case.label, *["–"] * len(order), "–", f"refused: {case.refused}"])
            continue
        times = [_ms(case.engines.get(name)) for name in order]
        ratio = case.ratios.get(case.fastest_peer)
        rows.append([case.case.label, *times, title(case.fastest_peer), f"**{spread_text(ratio)}**" if ratio else "–"])
    return table(head, rows)


def _ms(found: EngineResult | None) -> str:
    return f"{found.ms.median:.2f}" if found else "–"


def _engine_order(benchmark: Benchmark) -> list[str]:
    names = dict.fromkeys(name for case in benchmark.cases for name in case.engines)
    return [name for name in OWN_NAMES if name in names] + [name for name in names if name not in OWN_NAMES]


def mean_lines(benchmark: Benchmark) -> list[str]:
    """Return the geometric mean of the ratios to each peer over all cases that have it."""
    lines = []
    for own, attribute in ((OWN, "ratios"), (OWN_UNTUNED, "untuned_ratios")):
        found: dict[str, list[float]] = {}
        for case in benchmark.cases:
            for peer, ratio in getattr(case, attribute).items():
                found.setdefault(peer, []).append(ratio.median)
        lines += [
            f"- {title(own)} against {title(peer)}: geometric mean of {len(values)} ratios "
            f"**{statistics.geometric_mean(values):.3f}**, largest {max(values):.2f}"
            for peer, values in found.items()
            if len(values) > 1
        ]
    return lines


def case_lines(case: CaseResult) -> list[str]:
    """Return one case's table: milliseconds, images a second, ratio, difference of outputs."""
    if case.refused:
        return [f"Refused: {case.refused}"]
    head = [
        "engine",
        "ms (least–most round)",
        "quartiles",
        "99 %",
        "rows/s",
        "Ovenbird / it",
        "output error",
        "version",
    ]
    if case.untuned_ratios:
        head.insert(6, "untuned / it")
    rows = []
    for name, found in case.engines.items():
        own = name in OWN_NAMES
        row = [
            title(name),
            spread_text(found.ms),
            f"{found.quartiles_ms[0]:.2f}–{found.quartiles_ms[1]:.2f}",
            "–" if found.p99_ms is None else f"{found.p99_ms:.2f}",
            f"{case.case.batch / found.ms.median * 1e3:.1f}",
            "" if own or not case.ratios else spread_text(case.ratios[name], 3),
            f"{found.error:.0e}",
            found.version,
        ]
        if case.untuned_ratios:
            row.insert(6, "" if own else spread_text(case.untuned_ratios[name], 3))
        rows.append(row)
    lines = table(head, rows)
    if case.skipped:
        lines += ["", *(f"- left out: {title(name)}: {reason}" for name, reason in case.skipped.items())]
    return lines


def footprint_lines(benchmark: Benchmark) -> list[str]:
    """Return cold start, memory and installed size by network and engine."""
    head = ["network", "engine", "load + first run, s", "process to first output, s", "PSS, MB", "PSS of two, MB",
            "RSS of two, MB", "installed, MB"]  # fmt: skip
    rows = []
    for name, engines in benchmark.footprints.items():
        for engine, found in engines.items():
            rows.append(
                [
                    name,
                    title(engine),
                    f"{found['load_first_s']:.2f}",
                    f"{found['process_s']:.2f}",
                    *(
                        _mb(found[key])
                        for key in ("pss_one_bytes", "pss_two_bytes", "rss_two_bytes", "installed_bytes")
                    ),
                ]
            )
    return table(head, rows)


def _mb(size: int) -> str:
    return f"{size / 1e6:.0f}"


def profile_lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return the slowest layers' table, and the layers below the mark with their reasons."""
    total = sum(row["ms"] for row in rows)
    head = ["layer", "calls", "ms", "share of time", "GFLOP/s", "share of limit", "GB/s", "reason below 80 %"]
    shown = rows[:PROFILE_ROWS]
    lines = table(
        head,
        [
            [
                f"{row['kind']} {'x'.join(map(str, row['shape']))}{' (tuned)' if row['source'] == 'tuned' else ''}",
                str(row["calls"]),
                f"{row['ms']:.3f}",
                f"{row['time_share']:.1%}",
                f"{row['gflops']:.0f}",
                f"{row['limit_share']:.0%}",
                f"{row['gbytes_per_s']:.0f}",
                row["reason"],
            ]
            for row in shown
        ],
    )
    rest = rows[PROFILE_ROWS:]
    if rest:
        lines += ["", f"and {len(rest)} more functions, {sum(row['ms'] for row in rest):.3f} ms together."]
    return [*lines, "", f"All functions: {total:.2f} ms."]


def estimate_lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return the table of estimated and measured times, and how alike the two order the layers."""
    cells = [
        [
            f"{row['kind']} {'x'.join(map(str, row['shape']))}",
            str(row["calls"]),
            f"{row['estimate_ms']:.3f}",
            f"{row['ms']:.3f}",
            f"{row['ms'] / row['estimate_ms']:.2f}",
        ]
        for row in rows
    ]
    found = f"{len(rows)} layers; rank correlation of a call's times {rank_correlation(rows):.3f}."
    return [*table(["layer", "calls", "estimate, ms", "measured, ms", "ratio"], cells), "", found]
