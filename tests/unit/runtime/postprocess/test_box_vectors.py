"""The vectors of conformance/boxes are what this runtime answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ovenbird_runtime.manifest.answers import Boxes
from ovenbird_runtime.manifest.schema import decode
from ovenbird_runtime.tensors.frame import Frame
from support import box_vectors

VECTORS = Path(__file__).resolve().parents[4] / "conformance" / "boxes"
CASES = sorted((VECTORS / "cases").glob("*.json"))


def test_vectors_are_current(tmp_path: Path) -> None:
    box_vectors.write(tmp_path)
    expected = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    found = {path.relative_to(VECTORS): path.read_bytes() for path in VECTORS.rglob("*") if path.is_file()}
    assert found == expected, "run: PYTHONPATH=tests python tests/support/box_vectors.py conformance/boxes"


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_reader_of_the_files_alone_gives_the_answer(path: Path) -> None:
    case: dict[str, Any] = json.loads(path.read_text())
    step = decode(Boxes, case["step"], "step")
    frame = None if case["frame"] is None else Frame(**{name: tuple(pair) for name, pair in case["frame"].items()})
    outputs = {name: np.array(box_vectors.read(rows)) for name, rows in case["outputs"].items()}
    outputs["boxes"] = outputs["boxes"].reshape(-1, 4)
    found = box_vectors.outcome(step, outputs, case["options"], case["labels"], frame)
    assert found == {"error": case["error"], "answer": case["answer"]}
