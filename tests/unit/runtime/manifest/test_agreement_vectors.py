"""The vectors of `conformance/agreement` are what this runtime says."""

from __future__ import annotations

import json
from pathlib import Path

from ovenbird_runtime.tensors.tensors import read_tensors
from support.agreement_vectors import said, same

FOLDER = Path(__file__).resolve().parents[4] / "conformance" / "agreement"


def test_vectors_are_what_the_runtime_says() -> None:
    arrays, cases = read_tensors(FOLDER / "answers.npz"), json.loads((FOLDER / "cases.json").read_bytes())
    wrong = [
        case for case in cases if not same(said(arrays[case["given"]], arrays[case["right"]], case["precision"]), case)
    ]
    assert wrong == []
    assert {bool(case["fault"]) for case in cases} == {True, False}
