"""Run the tests of the server's reliability bars and make the table of their figures.

    python ci/load/reliability.py                       # every bar, short runs of the tiny network: some four minutes
    python ci/load/reliability.py --artifact artifacts/resnet50 --seconds 60 --soak 1800      # as the bars say
    python ci/load/reliability.py --only goodput --only soak --artifact artifacts/resnet50 --seconds 60 --soak 1800

Each bar, its figure and whether it holds go to docs/benchmarks/reliability.json and, by ci/steps/benchmarks.py, to
docs/benchmarks.md; with --only, the other bars' rows stay as they are. The exit code is 1 where one does not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from support.bars import BARS, combine  # noqa: E402 - the catalogue is the tests'

TABLE = ROOT / "docs" / "benchmarks" / "reliability.json"


def run_tests(bars: list[str], file: Path, environment: dict[str, str]) -> None:
    """Run the tests of some bars, each file in a process of its own, quick ones first; they write into `file`."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    tests = dict.fromkeys(test for bar in bars for test in BARS[bar].tests)
    for path in dict.fromkeys(test.partition("::")[0] for test in tests):
        chosen = [test for test in tests if test.startswith(f"{path}::")]
        command = [sys.executable, "-m", "pytest", "-q", "--durations=0", "-p", "no:cacheprovider", *chosen]
        subprocess.run(command, cwd=ROOT, env=os.environ | environment | {"OVENBIRD_REPORT": str(file)}, check=False)


def rows_of(bars: list[str], file: Path) -> dict[str, dict[str, Any]]:
    """Make a row of each bar from the lines that its tests wrote; `holds` is None where a test wrote none."""
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    lines = [json.loads(line) for line in text.splitlines()]
    rows = {}
    for name in bars:
        bar, mine = BARS[name], [line for line in lines if line["bar"] == name]
        reported = {line["test"].partition("[")[0] for line in mine}
        figures = combine(line["figures"] for line in mine)
        rows[name] = {
            "demand": bar.demand,
            "figure": bar.figure(figures) if mine else "",
            "holds": all(line["holds"] for line in mine) if mine and reported == set(bar.tests) else None,
            "whole": figures.get("seconds", 0.0) >= bar.seconds,
            "date": time.strftime("%Y-%m-%d"),
            "figures": figures,
        }
    return rows


def main() -> int:
    """Run, write, print; return the exit code."""
    parser = argparse.ArgumentParser(description="Hold the server to its reliability bars.")
    parser.add_argument(
        "--artifact", type=Path, help="What is served under overload and in the long run [the tiny network]."
    )
    parser.add_argument("--seconds", type=float, default=10, help="Of overload; the bar says 60.")
    parser.add_argument("--soak", type=float, default=30, help="Seconds of the long run; the bar says 1800.")
    parser.add_argument("--only", action="append", choices=list(BARS), help="Only this bar; repeatable.")
    options = parser.parse_args()
    environment = {"OVENBIRD_LOAD_SECONDS": f"{options.seconds:g}", "OVENBIRD_SOAK_SECONDS": f"{options.soak:g}"}
    if options.artifact:
        environment["OVENBIRD_LOAD_ARTIFACT"] = str(options.artifact.resolve())
    bars = options.only or list(BARS)
    file = ROOT / "build" / "load" / "reliability.jsonl"
    run_tests(bars, file, environment)
    kept = json.loads(TABLE.read_text(encoding="utf-8"))["bars"] if options.only and TABLE.is_file() else {}
    rows = kept | rows_of(bars, file)
    whole = {"bars": {name: rows[name] for name in BARS if name in rows}}
    TABLE.write_text(json.dumps(whole, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    for name in bars:
        row = rows[name]
        reported = {True: "holds", False: "DOES NOT HOLD", None: "NOT MEASURED"}[row["holds"]]
        print(f"{name:13} {reported:14} {row['figure']}{'' if row['whole'] else ' (a short run)'}")
    return subprocess.run([sys.executable, "ci/steps/benchmarks.py"], cwd=ROOT, check=False).returncode or int(
        not all(rows[name]["holds"] for name in bars)
    )


if __name__ == "__main__":
    sys.exit(main())
