"""The Python runtime says of the conformance suite's images, pipelines and outputs what it expects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ovenbird_runtime import errors
from ovenbird_runtime.tensors.tensors import read_tensors
from support import answer_vectors, picture_vectors

SUITE = Path(__file__).resolve().parents[3] / "conformance"


def cases_of(folder: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((SUITE / folder / "cases.json").read_bytes())
    return found


def test_pictures() -> None:
    for case in cases_of("pictures"):
        assert picture_vectors.picture_case(SUITE / "pictures", case["file"]) == case


def test_pipelines() -> None:
    for case in cases_of("pipelines"):
        found = picture_vectors.pipeline_case(SUITE / "pipelines", case["file"], case["steps"], case["seed"])
        assert found == case


def test_answers() -> None:
    for case in cases_of("answers"):
        outputs = read_tensors(SUITE / "answers" / case["outputs"])
        if "error" in case:
            with pytest.raises(getattr(errors, case["error"])):
                answer_vectors.answers(case, outputs)
        else:
            found = answer_vectors.answers(case, outputs)
            answer_vectors.same_answers(found, case["answers"], str(case["postprocess"]))
