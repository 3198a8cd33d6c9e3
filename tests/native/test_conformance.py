"""The C++ runtime says of the conformance suite's images, pipelines and outputs what it expects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from native.conftest import ROOT, build, run
from support.answer_vectors import same_answers

SUITE = ROOT / "conformance"


def said(kind: str, folder: Path) -> list[tuple[dict[str, Any], str]]:
    """Return each case, and the line that the C++ runtime prints of it."""
    cases = json.loads((folder / "cases.json").read_bytes())
    done = run(build() / f"ovenbird-{kind}", folder / "cases.json")
    assert done.code == 0, done.err
    return list(zip(cases, done.out.splitlines(), strict=True))


@pytest.mark.parametrize(("folder", "field"), [("pictures", "pixels"), ("pipelines", "input")])
def test_pixels_are_those_of_the_suite(folder: str, field: str) -> None:
    wrong = [
        (case["file"], case.get("steps"), line)
        for case, line in said("pictures", SUITE / folder)
        if (line.partition(":")[0] != case["error"] if "error" in case else line != case[field])
    ]
    assert wrong == []


def test_answers_are_those_of_the_suite() -> None:
    for case, line in said("answers", SUITE / "answers"):
        if "error" in case:
            assert line.partition(":")[0] == case["error"], case
        else:
            same_answers(json.loads(line), case["answers"], str(case["postprocess"]))
