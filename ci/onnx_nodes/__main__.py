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
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from cases import Case, collect_once
from page import PAGE, page
from trying import table, try_all
from worker import REFUSED, RIGHT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).parent
KEPT = HERE / "right.txt"


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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
