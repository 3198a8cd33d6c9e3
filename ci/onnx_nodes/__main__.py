"""Compile ONNX's own node tests for this machine, and print which come out right, by operator.

    .venv/bin/python ci/onnx_nodes                          all of them: some 15 minutes on two quiet cores
    .venv/bin/python ci/onnx_nodes Resize Pad               those of these operators
    .venv/bin/python ci/onnx_nodes test_clip test_tile_precomputed --why
    .venv/bin/python ci/onnx_nodes --write                  all, and keep what was found: right.txt, a page of docs/

Right: dtype, shape and values of every output are the test's. Refused: one line that names the operator. The exit code
is 1 where one is wrong or ends the process, or where one is not right that `right.txt` names.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from cases import Case, collect_once
from page import PAGE, page
from worker import INTERNAL, REFUSED, RIGHT, WRONG

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).parent
KEPT = HERE / "right.txt"
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


def main(arguments: Sequence[str]) -> int:
    """Try the tests and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help="operators, or beginnings of tests' names")
    parser.add_argument("--sample", type=int, metavar="N", help="every Nth test only")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes at once (2)")
    parser.add_argument("--why", action="store_true", help="a line for each test that is not right")
    parser.add_argument(
        "--write", action="store_true", help="keep what all tests gave: right.txt, and the page in docs/"
    )
    options = parser.parse_args(arguments)
    if options.write and (options.names or options.sample):
        parser.error("--write keeps what all tests gave: name none")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "cases.pickle")
        cases = chosen(collect_once(file), options.names)[:: options.sample or 1]
        outcomes = try_all(cases, file, options.jobs, options.why)
    print(table(outcomes, vision_operators()))
    right = {each.case.name for each in outcomes if each.result == RIGHT}
    fallen = sorted({case.name for case in cases} & set(KEPT.read_text().split()) - right) if KEPT.is_file() else []
    for name in fallen:
        print(f"no longer right: {name}")
    if options.write:
        KEPT.write_text("".join(f"{name}\n" for name in sorted(right)), encoding="utf-8")
        PAGE.write_text(page(outcomes, vision_operators()), encoding="utf-8")
    return int(bool(fallen) or any(each.result not in (RIGHT, REFUSED) for each in outcomes))


def chosen(cases: Iterable[Case], names: Sequence[str]) -> list[Case]:
    """Return the tests of the operators, or whose names begin so; all where none is named."""
    return [case for case in cases if not names or case.operator in names or case.name.startswith(tuple(names))]


def vision_operators() -> set[str]:
    """Return the operators that networks for images use."""
    table = tomllib.loads((HERE / "vision_operators.toml").read_text(encoding="utf-8"))
    return {operator for group in table.values() for operator in group["operators"]}


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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
