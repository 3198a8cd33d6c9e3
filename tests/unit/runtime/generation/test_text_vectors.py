"""The vectors of `conformance/texts` are what this runtime says."""

from __future__ import annotations

import json
from pathlib import Path

from support.text_vectors import all_cases

CASES = Path(__file__).resolve().parents[4] / "conformance" / "texts" / "cases.json"


def test_vectors_are_what_the_runtime_says() -> None:
    assert json.loads(CASES.read_bytes()) == json.loads(json.dumps(all_cases()))
