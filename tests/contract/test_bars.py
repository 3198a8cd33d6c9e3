"""The catalogue of reliability bars and the tests that it names belong together."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.bars import BARS, combine

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("tests/load", "tests/e2e/serve", "tests/security/serve")


def reporting_tests() -> dict[str, set[str]]:
    """Return the bars that each test tells figures of, by the test's id."""
    found: dict[str, set[str]] = {}
    for folder in FOLDERS:
        for path in (ROOT / folder).glob("test_*.py"):
            for function in re.split(r"^def ", path.read_text(encoding="utf-8"), flags=re.M)[1:]:
                bars = set(re.findall(r'\breport\(\s*"([\w-]+)"', function))
                if "judge(" in function and function.startswith("test_"):
                    bars.add("odd-images")
                if bars and function.startswith("test_"):
                    found[f"{path.relative_to(ROOT)}::{function.partition('(')[0]}"] = bars
    return found


def test_every_bar_has_its_tests_and_every_test_its_bar() -> None:
    named = {(test, name) for name, bar in BARS.items() for test in bar.tests}
    assert named == {(test, name) for test, bars in reporting_tests().items() for name in bars}


@pytest.mark.parametrize(
    ("figures", "whole"),
    [
        ([{"of": 1, "mib": 0.2}, {"of": 1, "mib": 10.0}], {"of": 2, "mib": 10.0}),
        ([{"uid": "1"}, {"uid": "2"}, {"uid": "1"}], {"uid": "1, 2"}),
        ([], {}),
    ],
)
def test_counts_add_up_and_measures_keep_the_largest(
    figures: list[dict[str, object]], whole: dict[str, object]
) -> None:
    assert combine(figures) == whole
