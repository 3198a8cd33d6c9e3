"""Tries models in processes of `worker.py`, some in each, which a crash of one may end; and counts what came of them.

outcomes = try_all(cases, file, jobs=2, tell=True)
print(table(outcomes, {"Resize"}))
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from cases import Case
from worker import INTERNAL, REFUSED, RIGHT, WRONG

HERE = Path(__file__).parent
CRASHED = "CRASHED"
RESULTS = (RIGHT, REFUSED, WRONG, CRASHED, INTERNAL)
LIMIT_S = 900
"""Without a word from a process: what it tries hangs."""
BATCH = 96
"""Tests a process."""


@dataclass(frozen=True)
class Outcome:
    """What became of a test."""

    case: Case
    result: str
    why: str


def try_all(cases: Sequence[Case], file: Path, jobs: int, tell: bool) -> list[Outcome]:
    """Try the tests in processes, some in each; return what became of them in their order.

    `tell`: a line for each that is not right, at once.
    """
    by_name = {case.name: case for case in cases}
    names = list(by_name)
    found: dict[str, Outcome] = {}
    with ThreadPoolExecutor(jobs) as pool:
        batches = [names[start : start + BATCH] for start in range(0, len(names), BATCH)]
        for done in as_completed([pool.submit(try_some, batch, file, tell) for batch in batches]):
            found.update({name: Outcome(by_name[name], result, why) for name, result, why in done.result()})
            print(f"{len(found)} of {len(names)}", file=sys.stderr, flush=True)
    return [found[name] for name in names]


def try_some(names: Sequence[str], file: Path, tell: bool) -> list[tuple[str, str, str]]:
    """Try tests in one process, and in another from where a crash ended it."""
    found: dict[str, tuple[str, str, str]] = {}

    def note(name: str, result: str, why: str) -> None:
        found[name] = name, result, why
        if tell and result != RIGHT:
            print(f"{result} {name}: {why}", flush=True)

    while left := [name for name in names if name not in found]:
        trying = left[0]
        for message in messages(left, file):
            if "trying" in message:
                trying = message["trying"]
            else:
                note(message["name"], message["result"], message["why"])
        if any(name not in found for name in left):
            note(trying if trying not in found else left[0], CRASHED, "the process ended, or said nothing for long")
    return list(found.values())


def messages(names: Sequence[str], file: Path) -> Iterator[Mapping[str, str]]:
    """Yield what a worker reports about these tests, until it ends or hangs."""
    command = [sys.executable, str(HERE / "worker.py"), str(file)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n".join(names))
        process.stdin.close()
        watch = threading.Timer(LIMIT_S, process.kill)
        watch.start()
        for line in process.stdout:
            watch.cancel()
            watch = threading.Timer(LIMIT_S, process.kill)
            watch.start()
            yield json.loads(line)
        watch.cancel()


def table(outcomes: Sequence[Outcome], vision: set[str]) -> str:
    """Return the counts by operator, those of vision networks first, with totals."""
    counts: dict[str, Counter[str]] = {}
    for each in outcomes:
        counts.setdefault(each.case.operator, Counter())[each.result] += 1
    lines = [f"{'operator':28}" + "".join(f"{result:>10}" for result in RESULTS)]
    for group, operators in (
        ("operators of vision networks", sorted(set(counts) & vision)),
        ("others", sorted(set(counts) - vision)),
    ):
        total = sum((counts[operator] for operator in operators), Counter())
        lines += [_row(operator, counts[operator]) for operator in operators]
        lines.append(_row(group, total) + f"   {total[RIGHT] / max(total.total(), 1):.1%} right")
    total = sum(counts.values(), Counter())
    lines.append(_row("all", total) + f"   {total[RIGHT] / max(total.total(), 1):.1%} right")
    return "\n".join(lines)


def _row(name: str, counts: Counter[str]) -> str:
    return f"{name:28}" + "".join(f"{counts[result] or '':>10}" for result in RESULTS)
