"""Write the pages that show the benchmarks, from what `ovenbird bench` measured: docs/benchmarks.md, README's figures,
what each optimisation gains in docs/explanation/why-these-optimisations.md.

    .venv/bin/python ci/steps/benchmarks.py         # `make bench` calls this after each table

The tables lie in docs/benchmarks/<name>.json, with their full report (.md) and picture (.png) next to them; a table
that was not measured is left out. ablation.json is what `ovenbird bench --ablation` wrote, server.json is what
ci/load/run.sh measured, reliability.json what ci/load/reliability.py found.
"""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from reliability_table import reliability_lines
from server_tables import served_line, server_lines

from ovenbird.benchmarking.ablation.results import Ablation
from ovenbird.benchmarking.ablation.table import ablation_lines, side_lines
from ovenbird.benchmarking.engines import OWN_TVM
from ovenbird.benchmarking.report.markdown import mean_lines, profile_lines, provenance_lines, summary_lines
from ovenbird.benchmarking.report.results import Benchmark, read_benchmark

ROOT = Path(__file__).resolve().parents[2]
PAGE, RESULTS, README = ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "benchmarks", ROOT / "README.md"
WHY, ABLATION = ROOT / "docs" / "explanation" / "why-these-optimisations.md", RESULTS / "ablation.json"
SERVER, RELIABILITY = RESULTS / "server.json", RESULTS / "reliability.json"
WRITTEN = "<!-- Written by ci/steps/benchmarks.py from docs/benchmarks/*.json; do not edit. -->"
SECTION = re.compile(r"(<!-- bench:begin[^>]*-->\n).*?(<!-- bench:end -->)", re.S)
TITLES = {
    "resnet50": "ResNet50 with two outputs, batch 1, two threads",
    "one-thread": "ResNet50, one thread",
    "batch-8": "ResNet50, batch 8",
    "zoo": "Other networks",
    "growth": "How the cost grows: batch, threads, image size",
    "avx2": "ResNet50 as AVX2 code (x86-64-v3), against peers held to AVX2",
}
NOTES = {
    "avx2": "With `ONEDNN_MAX_CPU_ISA=AVX2` and `ATEN_CPU_CAPABILITY=avx2`, which OpenVINO and torch obey; ONNX "
    "Runtime has no switch that restricts its instructions, so it is left out.",
}
CHIP = "chip-"
"""What the tables of one processor are called, whichever it was (`bench.sh chip`)."""
HEADLINE = ("resnet50", "one-thread", "batch-8")
GOOD_SHARE = 0.8


def main() -> int:
    """Write both pages from the tables that are there."""
    names = [*TITLES, *sorted(path.stem for path in RESULTS.glob(f"{CHIP}*.json"))]
    found = {name: read_benchmark(path) for name in names if (path := RESULTS / f"{name}.json").is_file()}
    if not found:
        print("error: NoResults: no docs/benchmarks/*.json; run 'make bench'", file=sys.stderr)
        return 1
    PAGE.write_text(page(found), encoding="utf-8")
    sections = {README: readme_lines(found)}
    if ABLATION.is_file():
        ablation = Ablation.read(ABLATION)
        sections[WHY] = ["", *ablation_lines(ablation), "", *side_lines(ablation), ""]
    for path, lines in sections.items():
        if not write_section(path, lines):
            print(f"error: NoSection: {path.name} has no <!-- bench:begin --> ... <!-- bench:end -->", file=sys.stderr)
            return 1
    names = ", ".join(str(path.relative_to(ROOT)) for path in (PAGE, *sections))
    print(f"wrote: {names} ({', '.join(found)})")
    return 0


def write_section(path: Path, lines: Sequence[str]) -> bool:
    """Put lines between a page's marks; return False where it has none."""
    text = path.read_text(encoding="utf-8")
    section = "\n".join(lines)
    path.write_text(SECTION.sub(lambda match: f"{match[1]}{section}\n{match[2]}", text), encoding="utf-8")
    return SECTION.search(text) is not None


def page(found: dict[str, Benchmark]) -> str:
    """Return docs/benchmarks.md: each table with the command that made it, its picture and its full report."""
    lines = [WRITTEN, "# Benchmarks", "", "`make bench` measures all of this again and writes this page.", ""]
    for name, benchmark in found.items():
        title = TITLES.get(name, f"On {benchmark.machine['processor']}")
        lines += [f"## {title}", "", f"`{benchmark.command}`", ""]
        lines += [NOTES[name], ""] if name in NOTES else []
        lines += [*provenance_lines(benchmark), ""]
        lines += [*summary_lines(benchmark), "", *mean_lines(benchmark), ""]
        if (RESULTS / f"{name}.png").is_file():
            lines += [f"![{title}](benchmarks/{name}.png)", ""]
        lines += [f"All figures: [report](benchmarks/{name}.md), [JSON](benchmarks/{name}.json).", ""]
        for label, rows in benchmark.profiles.items():
            below = [row for row in rows if row["reason"]]
            share = sum(row["time_share"] for row in below)
            lines += [
                f"### Layers of {label} below {GOOD_SHARE:.0%} of the direct arithmetic limit",
                "",
                f"{len(below)} of {len(rows)} functions, {share:.0%} of the time; a Winograd layer is rated by the "
                "direct convolution in its place.",
                "",
                *profile_lines(below),
                "",
            ]
    if SERVER.is_file():
        lines += server_lines(json.loads(SERVER.read_text(encoding="utf-8")))
    if RELIABILITY.is_file():
        lines += reliability_lines(json.loads(RELIABILITY.read_text(encoding="utf-8")))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def readme_lines(found: dict[str, Benchmark]) -> list[str]:
    """Return README's figures: the two-output ResNet50, then the other networks' mean."""
    lines: list[str] = []
    first = next(iter(found.values()))
    headline = [found[name] for name in HEADLINE if name in found]
    if headline:
        cases = [case for benchmark in headline for case in benchmark.cases]
        lines += [*summary_lines(dataclasses.replace(headline[0], cases=cases)), ""]
    rounds = sorted({benchmark.options["rounds"] for benchmark in headline or [first]})
    lines += [
        f"Milliseconds, median of {' or '.join(map(str, rounds))} alternating rounds, float32, on "
        f"{first.machine['processor']}; the ratio is Ovenbird's time over the fastest peer's, paired by round "
        "(least–most). Made by `make bench`.",
        "",
    ]
    if any(OWN_TVM in case.engines for benchmark in headline for case in benchmark.cases):
        lines += [
            "With `ovenbird-native` beside the runtime, its engine runs the artifact; without it, TVM's does.",
            "",
        ]
    if "zoo" in found:
        lines += [f"{len(found['zoo'].cases)} other networks:", "", *mean_lines(found["zoo"]), ""]
    for name, benchmark in found.items():
        if name.startswith(CHIP):
            models = len({case.case.model for case in benchmark.cases})
            lines += [f"On {benchmark.machine['processor']}, {models} networks on two threads and on one:", ""]
            lines += [*mean_lines(benchmark), ""]
    if SERVER.is_file():
        lines += [served_line(json.loads(SERVER.read_text(encoding="utf-8"))), ""]
    return [*lines, "More, with every network, memory, start-up and each layer: [benchmarks](docs/benchmarks.md)."]


if __name__ == "__main__":
    sys.exit(main())
