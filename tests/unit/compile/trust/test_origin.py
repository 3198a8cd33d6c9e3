"""SHA256SUMS, SBOM and provenance: checked by the tools and schemas that others wrote."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.v1.statement_pb2 import Statement

from ovenbird.backends.base import BuildOptions
from ovenbird.backends.table import BACKENDS
from ovenbird.trust import versions
from ovenbird_runtime.artifact.artifact import open_artifact
from ovenbird_runtime.artifact.origin import PROVENANCE, SBOM, read_origin
from ovenbird_runtime.machine.versions import TVM_VERSION

from .conftest import written


def load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def checked(artifact: Path) -> subprocess.CompletedProcess[str]:
    command = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    return subprocess.run(command, cwd=artifact, capture_output=True, text=True, check=False)


def test_sha256sum_checks_every_file(artifact: Path) -> None:
    done = checked(artifact)
    assert done.returncode == 0, done.stderr
    there = {str(path.relative_to(artifact)) for path in artifact.rglob("*") if path.is_file()}
    assert {line.removesuffix(": OK") for line in done.stdout.splitlines()} == there - {"SHA256SUMS"}
    (artifact / "manifest.json").write_text("{}")
    assert checked(artifact).returncode == 1


def test_origin_is_in_the_manifest_and_the_sums_are_not(artifact: Path) -> None:
    opened = open_artifact(artifact)
    assert {SBOM, PROVENANCE} <= set(opened.manifest.files)
    assert "SHA256SUMS" not in opened.manifest.files
    opened.verify(opened.manifest.files)


def test_the_sbom_is_valid_cyclonedx(artifact: Path) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = (artifact / SBOM).read_text(encoding="utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def test_the_sbom_names_network_weights_and_software(artifact: Path) -> None:
    bom = load(artifact / SBOM)
    subject = bom["metadata"]["component"]
    assert (subject["type"], subject["name"], subject["version"]) == ("machine-learning-model", "net", "1")
    parts = {part["bom-ref"]: part for part in bom["components"]}
    files = open_artifact(artifact).manifest.files
    for name, record in files.items():
        if name not in (SBOM, PROVENANCE):
            assert parts[f"file:{name}"]["hashes"] == [{"alg": "SHA-256", "content": record.sha256}]
    weights = next(part for part in bom["components"] if part["type"] == "data")
    assert weights["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    assert parts["runtime:apache-tvm"]["version"] == TVM_VERSION
    assert parts["runtime:numpy"]["properties"] == [{"name": "ovenbird:requirement", "value": ">=1.26"}]
    assert "version" not in parts["runtime:numpy"]  # the target decides it
    assert {"ovenbird", "apache-tvm", "torch"} <= {tool["name"] for tool in bom["metadata"]["tools"]["components"]}


def test_nothing_of_a_time_or_of_chance(tmp_path: Path) -> None:
    one, other = written(tmp_path / "a" / "one"), written(tmp_path / "b" / "other")
    for name in (SBOM, PROVENANCE, "manifest.json", "SHA256SUMS"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
        assert str(tmp_path) not in (one / name).read_text()
    assert "timestamp" not in load(one / SBOM)["metadata"]
    another = written(tmp_path / "c", licence="made up for a test")
    assert load(another / SBOM)["serialNumber"] != load(one / SBOM)["serialNumber"]


def test_provenance_is_a_slsa_statement(artifact: Path) -> None:
    statement = load(artifact / PROVENANCE)
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    files = open_artifact(artifact).manifest.files
    assert {one["name"]: one["digest"]["sha256"] for one in statement["subject"]} == {
        name: record.sha256 for name, record in files.items() if name != PROVENANCE
    }
    build = statement["predicate"]["buildDefinition"]
    # others' definitions, which refuse fields that they do not know
    assert ParseDict(statement, Statement()).predicate_type == statement["predicateType"]
    predicate = ParseDict(statement["predicate"], Provenance())
    assert predicate.build_definition.external_parameters["model"] == "net"
    assert not predicate.run_details.HasField("metadata")  # it would hold times
    assert build["resolvedDependencies"][0] == {"name": "network", "digest": {"sha256": "ab" * 32}}
    assert statement["predicate"]["runDetails"]["builder"]["id"] == "urn:ovenbird:compiler"


def test_a_folder_of_records_is_known_by_its_digest_not_its_name(tmp_path: Path) -> None:
    records = tmp_path / "records"
    records.mkdir()
    found = []
    for text in ("[1]", "[2]"):
        (records / "database_tuning_record.json").write_text(text)
        artifact = written(tmp_path / text, tuning_records=str(records))
        build = load(artifact / PROVENANCE)["predicate"]["buildDefinition"]
        assert build["externalParameters"]["tuning_records"] == "given"
        found += [one["digest"] for one in build["resolvedDependencies"] if one.get("name") == "tuning-records/t"]
    assert len(found) == 2
    assert found[0] != found[1]


def test_the_linker_is_named_and_not_where_it_lies(artifact: Path) -> None:
    linker = load(artifact / PROVENANCE)["predicate"]["runDetails"]["builder"]["version"]["linker of t"]
    assert re.search(r"\d+\.\d+", linker)
    assert "/" not in linker.split()[0]


def test_inspection_reads_it(artifact: Path) -> None:
    origin = read_origin(open_artifact(artifact))
    assert origin is not None
    assert origin["options"]["targets"] == ["t"]
    assert origin["versions"]["apache-tvm"] == TVM_VERSION


def commit(root: Path) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    for command in (["add", "."], [*identity, "commit", "-qm", "change"]):
        subprocess.run(["git", "-C", str(root), *command], check=True)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with one commit, from which the compiler seems to run."""
    root = tmp_path / "checkout"
    (root / "compile" / "ovenbird").mkdir(parents=True)
    (root / "compile" / "file").write_text("as committed")
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    commit(root)
    monkeypatch.setattr(versions, "PACKAGE", root / "compile" / "ovenbird")
    return root


def test_the_commit_of_a_checkout(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = versions.find_commit()
    assert found is not None
    assert re.fullmatch("[0-9a-f]{40}", found.sha)
    assert not found.modified
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert versions.find_commit() == found
    (checkout / "page.md").write_text("decides nothing")
    assert versions.find_commit() == found
    (checkout / "compile" / "file").write_text("changed")
    assert versions.find_commit() == versions.Commit(found.sha, modified=True)
    (checkout / "compile" / "file").write_text("as committed")
    (checkout / "compile" / "another").write_text("not tracked, and imported all the same")
    assert versions.find_commit() == versions.Commit(found.sha, modified=True)


def test_a_commit_that_decides_nothing_is_not_named(checkout: Path) -> None:
    """Else an artifact from a pipeline's cache were another than the one that this commit makes."""
    found = versions.find_commit(["t"])
    (checkout / "page.md").write_text("new")
    commit(checkout)
    assert versions.find_commit(["t"]) == found
    (checkout / "targets" / "t").mkdir(parents=True)
    (checkout / "targets" / "t" / "target.toml").write_text("new")
    commit(checkout)
    assert versions.find_commit(["another"]) == found
    assert versions.find_commit(["t"]) != found


def test_no_commit_outside_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "PACKAGE", tmp_path / "site-packages" / "ovenbird")
    assert versions.find_commit() is None


def test_provenance_tells_which_options_a_backend_heeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def heeded(_backend: Any, options: BuildOptions) -> dict[str, Any]:
        return {"heeded": [options.precision, options.fast_math, options.some_bfloat16]}

    monkeypatch.setattr(type(BACKENDS["llvm"]), "heeded", heeded)
    statement = load(written(tmp_path / "net", fast_math=True) / PROVENANCE)
    assert statement["predicate"]["buildDefinition"]["externalParameters"]["heeded"] == ["f32", True, False]
