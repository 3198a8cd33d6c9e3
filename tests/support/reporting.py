"""What tests of a bar measured, a line each in build/serve-report.jsonl (OVENBIRD_REPORT names another file).

def test_smuggling(strict: Serving, report: Report) -> None:
    ...
    report("smuggling", refused=1, of=1)                     # before the assertion: a failed bar has its figure too
    report("rejections", holds=p99 <= 50, p99_ms=p99)        # of several bars in one test, each says for itself
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.bars import BARS

FILE = Path(os.environ.get("OVENBIRD_REPORT") or Path(__file__).resolve().parents[2] / "build" / "serve-report.jsonl")
_PASSED = pytest.StashKey[bool]()


class Report:
    """One test's figures; written when it is over, with whether the bar holds."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def __call__(self, bar: str, holds: bool | None = None, **figures: Any) -> None:
        BARS[bar].figure(figures)  # a figure that is missing shows in its own test
        self.lines.append({"bar": bar, "holds": holds, "figures": figures})

    def write(self, test: str, passed: bool) -> None:
        FILE.parent.mkdir(parents=True, exist_ok=True)
        with FILE.open("a", encoding="utf-8") as file:
            for line in self.lines:
                line["holds"] = passed if line["holds"] is None else line["holds"]
                text = json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%S"), "test": test} | line)
                file.write(text + "\n")
                print(text)


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Iterator[Report]:
    found = Report()
    yield found
    found.write(request.node.nodeid, request.node.stash.get(_PASSED, False))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    outcome = yield
    if outcome.when == "call":
        item.stash[_PASSED] = outcome.passed
    return outcome
