"""Several programs over one set of weights, in one library."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ovenbird_runtime
from ovenbird_runtime.artifact.golden import golden_file, write_golden
from ovenbird_runtime.artifact.inspection import inspect_artifact
from ovenbird_runtime.errors import PipelineError, SelftestFailed, UnknownProgram, WrongInputNames
from ovenbird_runtime.manifest.manifest import Entry, Manifest, file_record
from ovenbird_runtime.model import Model
from ovenbird_runtime.selftest import selftest
from ovenbird_runtime.text import inspection_lines
from support.tiny_artifact import copy_tiny, reseal, retarget


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    """The tiny network as `first`, for one image, and as `second`, for four, whose input has another name."""
    folder = copy_tiny(tmp_path_factory.mktemp("two"))
    entries = (Entry("first", 1, (), "main_b1", (0, 1)), Entry("second", 4, (), "main_b4", (0, 1)))
    retarget(folder, lambda target: replace(target, entries=entries))

    def split(manifest):  # type: ignore[no-untyped-def]
        first = manifest.programs["main"]
        second = replace(first, inputs=(replace(first.inputs[0], name="picture"),))
        return replace(manifest, programs={"first": first, "second": second})

    reseal(folder, split)
    with ovenbird_runtime.load(folder, threads=2) as model:
        yield model


def images(count: int) -> np.ndarray:
    return np.random.default_rng(count).standard_normal((count, 3, 32, 32)).astype(np.float32)


def test_each_is_run_by_its_name(two: Model, model: Model) -> None:
    assert list(two.programs) == ["first", "second"]
    for count in (1, 3, 6):
        expected = model.run({"image": images(count)})["logits"]
        found = two.run({"image": images(count)}, program="first")["logits"]
        other = two.run({"picture": images(count)}, program="second")["logits"]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(other, expected, rtol=1e-4, atol=1e-5)


def test_inputs_are_those_of_the_program(two: Model) -> None:
    with pytest.raises(WrongInputNames):
        two.run({"image": images(1)}, program="second")


@pytest.mark.parametrize("name", [None, "third", ""])
def test_one_must_be_named(two: Model, name: str | None) -> None:
    with pytest.raises(UnknownProgram, match="the model has first, second: name one of them"):
        two.run({"image": images(1)}, program=name)
    with pytest.raises(UnknownProgram):
        _ = two.inputs


def test_weights_are_loaded_once(two: Model) -> None:
    assert len(two._engine._code.tensors) == 2


def test_photographs_go_to_models_of_one_program(two: Model) -> None:
    with pytest.raises((UnknownProgram, PipelineError)):
        two.predict(np.zeros((40, 40, 3), np.uint8))


def test_an_artifact_of_several_is_described(two: Model) -> None:
    found = inspect_artifact(two.artifact.root)
    assert list(found["programs"]) == ["first", "second"]
    assert "inputs" not in found
    assert found["variants"][0]["batches"] == {"first": [1], "second": [4]}
    lines = inspection_lines(found)
    assert "program  second" in lines
    assert "input    picture float32 [N, 3, 32, 32] NCHW" in lines
    assert any("first batch 1, second batch 4" in line for line in lines)


def test_each_has_golden_tensors_of_its_own(two: Model, tmp_path: Path) -> None:
    """Every program is reproduced; one without its file is no artifact that was tested."""
    folder = Path(shutil.copytree(two.artifact.root, tmp_path / "two"))
    files = [golden_file(name) for name in two.programs]
    assert files == ["evidence/golden-first.npz", "evidence/golden-second.npz"]
    with pytest.raises(SelftestFailed, match=r"holds no evidence/golden-first\.npz"):
        selftest(folder)
    for (name, file), batch in zip(zip(two.programs, files, strict=True), (2, 3), strict=True):
        inputs = {spec.name: images(batch) for spec in two.programs[name].inputs}
        write_golden(folder / file, inputs, two.run(inputs, program=name))

    def listed(manifest: Manifest) -> Manifest:
        return replace(manifest, files=manifest.files | {file: file_record(folder / file) for file in files})

    reseal(folder, listed)
    found = selftest(folder)
    outputs = {f"{name}.{output}" for name in two.programs for output in ("logits", "embedding")}
    assert (found.rows, set(found.max_abs_error)) == (5, outputs)
    wrong = two.run(inputs, program=name) | {"logits": np.zeros((3, 4), np.float32)}
    write_golden(folder / files[1], inputs, wrong)
    reseal(folder)
    with pytest.raises(SelftestFailed, match="logits"):
        selftest(folder)
