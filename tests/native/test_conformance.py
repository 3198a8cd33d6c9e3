"""The C++ runtime says of the conformance suite's images, pipelines and outputs what it expects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from native.conftest import ROOT, Done, build, run
from ovenbird_runtime.tensors.tensors import npz_bytes
from support import agreement_vectors, box_vectors
from support.answer_vectors import same_answers

SUITE = ROOT / "conformance"


Said = list[tuple[dict[str, Any], str]]
FIELDS = {"pictures": "pixels", "pipelines": "input"}


def said(kind: str, folder: Path) -> Said:
    """Return each case, and the line that the C++ runtime prints of it."""
    return with_lines(folder, run(build() / f"ovenbird-{kind}", folder / "cases.json"))


def with_lines(folder: Path, done: Done) -> Said:
    assert done.code == 0, done.err
    return list(zip(json.loads((folder / "cases.json").read_bytes()), done.out.splitlines(), strict=True))


def check_pixels(lines: Said, field: str) -> None:
    wrong = [
        (case["file"], case.get("steps"), line)
        for case, line in lines
        if (line.partition(":")[0] != case["error"] if "error" in case else line != case[field])
    ]
    assert wrong == []


@pytest.mark.parametrize("folder", FIELDS)
def test_pixels_are_those_of_the_suite(folder: str) -> None:
    check_pixels(said("pictures", SUITE / folder), FIELDS[folder])


def test_answers_are_those_of_the_suite() -> None:
    check_answers(said("answers", SUITE / "answers"))


def check_answers(lines: Said) -> None:
    for case, line in lines:
        if "error" in case:
            assert line.partition(":")[0] == case["error"], case
        else:
            same_answers(json.loads(line), case["answers"], str(case["postprocess"]))


def test_texts_are_those_of_the_suite() -> None:
    check_texts(said("texts", SUITE / "texts"))


def check_texts(lines: Said) -> None:
    wrong = []
    for case, line in lines:
        right = case.get("error") or case["text" if "decode" in case else "tokens"]
        found = line.partition(":")[0] if "error" in case else json.loads(line)
        wrong += [(case, found)] if found != right else []
    assert wrong == []


def test_agreement_is_that_of_the_suite() -> None:
    lines = [(case, json.loads(line)) for case, line in said("agreement", SUITE / "agreement")]
    assert [(case, found) for case, found in lines if not agreement_vectors.same(found, case)] == []


def test_boxes_are_those_of_the_suite(tmp_path: Path) -> None:
    vectors = [json.loads(path.read_bytes()) for path in sorted((SUITE / "boxes" / "cases").glob("*.json"))]
    cases = []
    for place, vector in enumerate(vectors):
        outputs = {
            name: np.array(box_vectors.read(rows), np.int32 if name == "classes" else np.float32)[None]
            for name, rows in vector["outputs"].items()
        }
        outputs["boxes"] = outputs["boxes"].reshape(1, -1, 4)
        (tmp_path / f"{place}.npz").write_bytes(npz_bytes(outputs))
        given = {name: vector[name] for name in ("labels", "frame") if vector[name] is not None}
        options = {"outputs": f"{place}.npz", "postprocess": [vector["step"]], "options": vector["options"]}
        cases.append(given | options)
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    for (_, line), vector in zip(said("answers", tmp_path), vectors, strict=True):
        if vector["error"] is not None:
            assert line.partition(":")[0] == vector["error"], vector["what"]
            continue
        (found,) = json.loads(line)
        if vector["step"]["nms"] == "soft":  # powers of e
            same_answers(found["boxes"]["boxes"], vector["answer"], vector["what"])
        else:
            assert found["boxes"]["boxes"] == vector["answer"], vector["what"]


def test_frames_are_those_of_the_suite(tmp_path: Path) -> None:
    vectors = json.loads((SUITE / "boxes" / "frames.json").read_bytes())
    cases = []
    for vector in vectors:
        width, height = vector["original"]
        Image.new("RGB", (width, height)).save(tmp_path / f"{width}x{height}.png")
        cases.append({"file": f"{width}x{height}.png", "steps": vector["steps"]})
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    for (_, line), vector in zip(said("pictures", tmp_path), vectors, strict=True):
        numbers = [float(word) for word in line.split()[-4:]]
        assert numbers == [*vector["scale"], *vector["offset"]], vector
