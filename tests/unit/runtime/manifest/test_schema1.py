"""Artifacts of schema 1 for ever: what a compiler of that time wrote is read, run and judged as it was then.

They lie in `tests/support/schema1`, with the program that made them. Their code is for any x86-64 since 2009.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import ovenbird_runtime
from ovenbird_runtime.artifact.artifact import open_artifact
from ovenbird_runtime.artifact.inspection import inspect_artifact
from ovenbird_runtime.cli import main
from ovenbird_runtime.errors import ManifestInvalid, SignatureError
from ovenbird_runtime.manifest.agreement import LIMITS
from ovenbird_runtime.manifest.manifest import UNSEALED, decode_manifest, seal
from ovenbird_runtime.manifest.schema import dump
from ovenbird_runtime.manifest.schema1 import old_limits, upgrade_manifest, upgrade_target
from ovenbird_runtime.selftest import selftest

SCHEMA1 = Path(__file__).parents[3] / "support" / "schema1"
PHOTOGRAPH = Path(__file__).parents[4] / "compile" / "ovenbird" / "data" / "chelsea.jpg"
NAMES = ("classifier", "tensors", "signed")
runs = pytest.mark.skipif(platform.machine() != "x86_64", reason="the code in these artifacts is for x86-64")


def manifest_of(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SCHEMA1 / name / "manifest.json").read_bytes())
    return found


@pytest.mark.parametrize("name", NAMES)
def test_it_is_of_schema_1_and_whole(name: str) -> None:
    assert manifest_of(name)["schema_version"] == 1
    artifact = open_artifact(SCHEMA1 / name)
    artifact.verify(artifact.manifest.files)
    assert artifact.manifest.digest == manifest_of(name)["digest"]
    assert list(artifact.manifest.programs) == ["main"]
    (variant,) = artifact.manifest.variants
    assert (variant.target, variant.precision, variant.name) == ("x86-64-v2", "f32", "x86-64-v2")
    target = artifact.read_target(variant)
    assert {entry.program for entry in target.entries} == {"main"}


def test_nothing_of_it_is_lost() -> None:
    old, manifest = manifest_of("classifier"), open_artifact(SCHEMA1 / "classifier").manifest
    program, parity = manifest.program(), manifest.parity
    assert [spec.name for spec in program.inputs + program.outputs] == ["image", "logits", "embedding"]
    assert (program.preprocess.default, list(program.preprocess.pipelines)) == (
        "imagenet", ["imagenet", "zoom-crop-pad"],
    )  # fmt: skip
    assert [(step.step, step.output) for step in program.postprocess] == [
        ("classification", "logits"), ("embedding", "embedding"),
    ]  # fmt: skip
    assert parity is not None
    assert (parity.images, parity.random_inputs) == (old["parity"]["images"], old["parity"]["random_inputs"]) == (3, 9)
    main_program = parity.programs["main"]
    assert main_program.max_abs_error == old["parity"]["max_abs_error"]
    assert (
        main_program.variants["x86-64-v2"].outputs["logits"].rms
        == (old["parity"]["targets"]["x86-64-v2"]["outputs"]["logits"]["rms"])
    )
    assert manifest.tuning == old["tuning"]
    assert {name: record.sha256 for name, record in manifest.files.items()} == {
        name: record["sha256"] for name, record in old["files"].items()
    }


@runs
@pytest.mark.parametrize("name", NAMES)
def test_selftest_passes_on_schema_1(name: str) -> None:
    found = selftest(SCHEMA1 / name)
    assert (found.model, found.target, found.tolerance) == (name, "x86-64-v2", LIMITS["f32"].rms)


@runs
@pytest.mark.parametrize("pipeline", ["imagenet", "zoom-crop-pad"])
def test_it_says_of_a_photograph_what_it_said_then(pipeline: str) -> None:
    expected = json.loads((SCHEMA1 / "expected.json").read_bytes())[pipeline]
    with ovenbird_runtime.load(SCHEMA1 / "classifier", threads=1) as model:
        document = model.predict(PHOTOGRAPH, pipeline, top=5, seed=3)[0].to_json()
    classes, was = document.pop("classes")["logits"], expected.pop("classes")["logits"]
    assert [(one["index"], one["label"]) for one in classes] == [(one["index"], one["label"]) for one in was]
    assert [one["confidence"] for one in classes] == pytest.approx([one["confidence"] for one in was], rel=1e-4)
    assert document.pop("embeddings")["embedding"] == pytest.approx(expected.pop("embeddings")["embedding"], rel=1e-4)
    assert document == expected


@runs
def test_any_batch_of_raw_tensors() -> None:
    random = np.random.default_rng(0)
    rows, scale = (random.standard_normal((5, width)).astype(np.float32) for width in (6, 4))
    with ovenbird_runtime.load(SCHEMA1 / "tensors", threads=1) as model:
        assert list(model.programs) == ["main"]
        assert sorted(model.costs) == [1, 2]
        found = model.run({"rows": rows, "scale": scale})["scaled"]
        one_by_one = [model.run({"rows": rows[i : i + 1], "scale": scale[i : i + 1]})["scaled"] for i in range(5)]
    np.testing.assert_allclose(found, np.concatenate(one_by_one), rtol=1e-5, atol=1e-6)


@runs
def test_its_signature_is_checked(tmp_path: Path) -> None:
    key = SCHEMA1 / "signed.key.pub"
    with ovenbird_runtime.load(SCHEMA1 / "signed", public_key=key) as model:
        assert model.artifact.signed_by is not None
        rows = np.arange(12, dtype=np.float32).reshape(3, 4)
        np.testing.assert_allclose(model.run({"rows": rows})["centred"], rows - rows.mean(0))
    with pytest.raises(SignatureError):
        ovenbird_runtime.load(SCHEMA1 / "tensors", public_key=key)


@pytest.mark.parametrize("name", NAMES)
def test_inspect_reads_schema_1(name: str) -> None:
    found = inspect_artifact(SCHEMA1 / name)
    assert found["model"]["name"] == name
    assert found["variants"][0]["precision"] == "f32"
    shown = CliRunner().invoke(main, ["inspect", str(SCHEMA1 / name)])
    assert shown.exit_code == 0, shown.output
    assert "parity   max abs error" in shown.stdout


@runs
def test_a_copy_is_the_same(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["copy", str(SCHEMA1 / "classifier"), str(tmp_path / "copy")])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "copy/manifest.json").read_bytes() == (SCHEMA1 / "classifier/manifest.json").read_bytes()
    assert selftest(tmp_path / "copy").files == selftest(SCHEMA1 / "classifier").files


def test_sealed_again_it_is_of_schema_2() -> None:
    manifest = decode_manifest((SCHEMA1 / "classifier/manifest.json").read_bytes())
    again = decode_manifest(seal(manifest))
    assert again.schema_version == 2
    assert (again.programs, again.parity, again.files) == (manifest.programs, manifest.parity, manifest.files)


def test_the_first_artifacts_had_a_tolerance_alone() -> None:
    value = manifest_of("classifier")
    del value["parity"]["targets"]
    parity = upgrade_manifest(value, "manifest.json")["parity"]["programs"]["main"]
    assert parity["variants"]["x86-64-v2"]["outputs"] == {}
    assert old_limits("host", 1e-3) == old_limits("host", 1e-6) == ("f32", LIMITS["f32"])
    assert old_limits("host", 1e-2) == ("f32", LIMITS["f32"].loosened(10))
    assert old_limits("cuda-sm90", 2e-2) == ("f16", LIMITS["f16"])
    assert old_limits("cuda-sm90", 1e-3) == ("f32", LIMITS["f32"])


def test_code_in_float16_keeps_its_limits() -> None:
    value = manifest_of("classifier")
    value["parity"]["targets"]["x86-64-v2"]["precision"] = "f16"
    found = upgrade_manifest(value, "manifest.json")
    assert found["variants"] == [{"target": "x86-64-v2", "path": "targets/x86-64-v2", "precision": "f16"}]
    assert list(found["parity"]["programs"]["main"]["variants"]) == ["x86-64-v2-f16"]


BAD: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (lambda m: m.update(programs={}), "has an unknown field 'programs'"),
    (lambda m: m.pop("outputs"), "lacks the field 'outputs'"),
    (lambda m: m.update(postprocess={}), r"manifest.json.postprocess is \{\}, expected a list"),
    (lambda m: m["postprocess"][0].update(step="classification"), "has an unknown field 'step'"),
    (lambda m: m["postprocess"][0].update(kind="boxes"), "expected one of classification, embedding, raw"),
    (lambda m: m["postprocess"][0].update(kind="raw"), "logits has labels but is no classification"),
    (lambda m: m["postprocess"][0].update(labels="no.txt"), "'no.txt' are not in the file table"),
    (lambda m: m["variants"][0].update(precision="f16"), "has an unknown field 'precision'"),
    (lambda m: m["parity"].update(tolerance=-1), "tolerance is -1, expected 0"),
    (lambda m: m["inputs"][0].update(shape=["N", "N"]), "beyond its first dimension"),
]


@pytest.mark.parametrize(("spoil", "words"), BAD, ids=[words for _, words in BAD])
def test_what_schema_1_refused_is_refused(spoil: Callable[[dict[str, Any]], Any], words: str) -> None:
    value = manifest_of("classifier")
    spoil(value)
    value["digest"] = UNSEALED
    data = dump(value)
    data = data.replace(UNSEALED.encode(), hashlib.sha256(data).hexdigest().encode())
    with pytest.raises(ManifestInvalid, match=words):
        decode_manifest(data)


ENTRIES: list[tuple[Any, str]] = [
    ({"entries": None}, "expected a list"),
    ({"entries": [3]}, "expected an object"),
    ({"entries": [{"batch": 1, "function": "f", "weights": []}]}, "lacks the field 'cost_ms'"),
    ({"entries": [{"batch": 1, "function": "f", "weights": [], "cost_ms": -1}]}, "cost_ms is -1"),
    ({"entries": [{"batch": 1, "function": "f", "weights": [], "cost_ms": None, "program": "x"}]}, "unknown field"),
    ({"entries": [], "precision": "f32"}, "has an unknown field 'precision'"),
]


@pytest.mark.parametrize(("value", "words"), ENTRIES, ids=[words for _, words in ENTRIES])
def test_entries_that_schema_1_refused_are_refused(value: Any, words: str) -> None:
    with pytest.raises(ManifestInvalid, match=words):
        upgrade_target(value, "f32", "target.json")


@runs
def test_a_changed_file_is_seen(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(SCHEMA1 / "classifier", tmp_path / "artifact"))
    (folder / "labels.txt").write_bytes((folder / "labels.txt").read_bytes().replace(b"cat", b"dog"))
    with pytest.raises(Exception, match=r"labels.txt has sha256"):
        ovenbird_runtime.load(folder)
