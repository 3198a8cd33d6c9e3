"""What an image says of itself: labels, SBOM; and what goes into its build."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from ovenbird import resources
from ovenbird.baking import context as context_module
from ovenbird.baking.bake import check_variant, default_tag, repository_name
from ovenbird.baking.context import find_sources, prepared
from ovenbird.baking.image_sbom import describe_folder, main
from ovenbird.baking.labels import SourceRevision, describe_source, image_labels
from ovenbird.baking.measuring import tree_bytes
from ovenbird.baking.sbom import debian_components, merge_sbom
from ovenbird.cli.bake import read_pairs
from ovenbird.errors import UsageError
from ovenbird_runtime.artifact.artifact import Artifact, open_artifact
from ovenbird_runtime.artifact.origin import SBOM
from ovenbird_runtime.errors import FileChanged, ManifestInvalid
from ovenbird_runtime.manifest import manifest as m

DPKG = """Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9

Package: python3
Architecture: amd64
Version: 3.11.2-1
"""


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    """An artifact that is whole, but for code that nobody runs here."""
    folder = tmp_path / "net"
    for name, text in {"targets/t/model.so": "code", "targets/t/target.json": "{}", "weights/w.bin": "weights"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    files = {path.relative_to(folder).as_posix(): m.file_record(path) for path in folder.rglob("*") if path.is_file()}
    sealed = m.seal(
        m.Manifest(
            schema_version=2,
            model=m.ModelInfo("net", "7", "none", "BSD-3-Clause", m.WeightsInfo("random", "", True, 3)),
            programs={
                "main": m.Program(
                    inputs=(m.TensorSpec("image", "float32", ("N", 3, 8, 8), "NCHW"),),
                    outputs=(m.TensorSpec("logits", "float32", ("N", 5)),),
                )
            },
            parity=None,
            tuning={},
            variants=(m.VariantRef("t", "targets/t"),),
            files=files,
        )
    )
    (folder / "manifest.json").write_bytes(sealed)
    (folder / "SHA256SUMS").write_text("sums")
    return open_artifact(folder)


def test_labels_say_what_the_image_holds(artifact: Artifact) -> None:
    labels = image_labels(artifact, "t", "base:1", SourceRevision("abc-dirty", 1_700_000_000))
    assert labels["org.opencontainers.image.title"] == "ovenbird-net"
    assert labels["org.opencontainers.image.version"] == "7"
    assert labels["org.opencontainers.image.revision"] == "abc-dirty"
    assert labels["org.opencontainers.image.created"] == "2023-11-14T22:13:20Z"
    assert labels["org.opencontainers.image.base.name"] == "base:1"
    assert labels["ovenbird.weights"] == "random"
    expected = subprocess.run(
        ["sha256sum", artifact.root / "manifest.json"], capture_output=True, text=True, check=True
    ).stdout.split()[0]
    assert labels["ovenbird.manifest.digest"] == f"sha256:{expected}"
    assert "org.opencontainers.image.revision" not in image_labels(artifact, "t", "b", SourceRevision("", 0))


def test_the_source_is_what_git_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert describe_source(tmp_path) == SourceRevision("", 1_700_000_000)
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e@example.org"]
    (tmp_path / "f").write_text("1")
    for command in (["init", "-q"], ["add", "f"], ["commit", "-qm", "one", "--date", "@1600000000 +0000"]):
        subprocess.run(
            [*git, *command], check=True, env={"GIT_COMMITTER_DATE": "@1600000000 +0000", "PATH": "/usr/bin:/bin"}
        )
    clean = describe_source(tmp_path)
    assert clean.created == 1_600_000_000
    assert len(clean.revision) == 40
    (tmp_path / "f").write_text("2")
    assert describe_source(tmp_path).revision == f"{clean.revision}-dirty"


def test_an_artifact_without_the_target_is_refused(artifact: Artifact) -> None:
    check_variant(artifact, "t")
    with pytest.raises(UsageError, match=r"has code for t, not for u; .*compile with --target u"):
        check_variant(artifact, "u")
    assert default_tag(artifact, "t") == "ovenbird/net:t"


def test_the_context_is_the_runtime_and_the_artifact(artifact: Artifact) -> None:
    with prepared(find_sources(), artifact, "FROM scratch\n") as context:
        assert context.containerfile.read_text() == "FROM scratch\n"
        assert context.folder not in context.containerfile.parents, "it would be part of the image's context"
        found = {path.relative_to(context.folder).as_posix() for path in context.folder.rglob("*") if path.is_file()}
        assert {"artifact/manifest.json", "artifact/SHA256SUMS", "artifact/weights/w.bin"} <= found
        assert {"runtime/hatch_build.py", "ci/constraints.txt", "compile/ovenbird/baking/image_sbom.py"} <= found
        assert not [name for name in found if "/lib/" in name or "__pycache__" in name]
        assert context.secrets["pip"].read_text().startswith("[global]\n")
        assert context.secrets["pip"].stat().st_mode & 0o077 == 0
        assert "file:" not in context.secrets["pip"].read_text()
    assert not context.folder.exists()


def test_what_the_manifest_does_not_list_stays_out_of_the_image(artifact: Artifact) -> None:
    signature = f"manifest.json.{'a' * 32}.sig"
    (artifact.root / signature).write_bytes(bytes(64))
    for name in ("release.key", "release.key.pub", ".env", "notes.txt", "weights/other.key", "manifest.json.x.sig"):
        (artifact.root / name).write_text("secret")
    with prepared(find_sources(), artifact, "FROM scratch\n") as context:
        folder = context.folder / "artifact"
        found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        assert found == {*artifact.manifest.files, "manifest.json", "SHA256SUMS", signature}
        assert (folder / "manifest.json").read_bytes() == (artifact.root / "manifest.json").read_bytes()
        assert {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()} == {0o644}


def test_a_key_under_a_signature_s_name_is_not_baked(artifact: Artifact) -> None:
    (artifact.root / f"manifest.json.{'a' * 32}.sig").write_text("-----BEGIN PRIVATE KEY-----" * 4)
    with pytest.raises(FileChanged, match="not the artifact's"), prepared(find_sources(), artifact, "FROM scratch\n"):
        pass


def test_a_changed_artifact_is_not_baked(artifact: Artifact) -> None:
    (artifact.root / "weights/w.bin").write_text("weighty")
    with pytest.raises(FileChanged, match=r"weights/w\.bin"), prepared(find_sources(), artifact, "FROM scratch\n"):
        pass


def test_an_installed_package_bakes_from_the_sources_it_brings(
    artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, clone = tmp_path / "lib" / "ovenbird", find_sources()
    monkeypatch.setattr(resources, "PACKAGE", package)
    with pytest.raises(UsageError, match=r"install ovenbird's wheel again, or run it from a clone"):
        find_sources()
    for name in ("runtime", "ci/constraints.txt"):  # as the wheel's table in pyproject.toml puts them
        (package / "_sources" / "ci").mkdir(parents=True, exist_ok=True)
        (package / "_sources" / name).symlink_to(clone / name)
    with prepared(find_sources(), artifact, "FROM scratch\n") as context:
        for name in ("runtime/hatch_build.py", "ci/constraints.txt", "compile/ovenbird/baking/image_sbom.py"):
            assert (context.folder / name).is_file()


def test_a_repository_around_an_installation_is_somebody_elses(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / "venv").mkdir()
    assert describe_source(tmp_path / "venv").revision == ""


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("resnet50", "resnet50"),
        ("mobilenet_v3_small", "mobilenet_v3_small"),
        ("efficientnet-lite0", "efficientnet-lite0"),
        ("Net.v2", "net.v2"),
        ("a..b", "a-b"),
        ("a___b", "a-b"),
        ("a--b", "a--b"),
        ("a._-b", "a-b"),
        ("a-", "a"),
        ("nets:detector", "nets-detector"),  # as older artifacts are named
    ],
)
def test_a_models_name_in_a_registry(model: str, name: str) -> None:
    """OCI distribution specification 1.1: components of a repository's name."""
    assert repository_name(model) == name
    assert re.fullmatch(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*", name)


def test_sbom_of_what_pip_installed(tmp_path: Path) -> None:
    """The same program that the image's build runs, on a folder with two distributions."""
    for name, licence in (("Some_Lib-1.2", "License-Expression: MIT"), ("other-3", "License: BSD\n and more")):
        info = tmp_path / f"{name}.dist-info"
        info.mkdir()
        project, version = name.rsplit("-", 1)
        (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {project}\nVersion: {version}\n{licence}\n\n")
    main([str(tmp_path), str(tmp_path / "sbom.json")])
    found = json.loads((tmp_path / "sbom.json").read_text())
    assert [component["purl"] for component in found["components"]] == ["pkg:pypi/other@3", "pkg:pypi/some-lib@1.2"]
    assert found["components"][1]["licenses"] == [{"expression": "MIT"}]
    assert found["components"] == describe_folder(tmp_path)


def with_sbom(artifact: Artifact, text: str) -> Artifact:
    (artifact.root / SBOM).write_text(text)
    files = dict(artifact.manifest.files) | {SBOM: m.file_record(artifact.root / SBOM)}
    (artifact.root / "manifest.json").write_bytes(m.seal(dataclasses.replace(artifact.manifest, files=files)))
    return open_artifact(artifact.root)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "1", "[" * 100_000, '{"components": 5}', '{"components": [1]}', '{"components": [{}]}',
     '{"components": [{"name": "\\ud800"}]}'],
)  # fmt: skip
def test_an_artifact_s_sbom_that_is_none(artifact: Artifact, text: str) -> None:
    with pytest.raises(ManifestInvalid, match=r"sbom\.cdx\.json"):
        merge_sbom("net:t", b"", b"", with_sbom(artifact, text))


def test_sbom_of_the_image(artifact: Artifact) -> None:
    own = [
        {"bom-ref": "runtime:apache-tvm", "name": "apache-tvm", "type": "library", "version": "1"},
        {"bom-ref": "runtime:numpy", "name": "numpy", "type": "library"},
        {"bom-ref": "file:weights/w.bin", "name": "weights/w.bin", "type": "data"},
    ]
    artifact = with_sbom(artifact, json.dumps({"components": own}))
    numpy = {"bom-ref": "pkg:pypi/numpy@2", "name": "numpy", "type": "library", "version": "2"}
    packages = json.dumps({"components": [numpy]}).encode()
    text = merge_sbom("net:t", packages, DPKG.encode(), artifact)
    assert text == merge_sbom("net:t", packages, DPKG.encode(), artifact)
    names = sorted(component["name"] for component in json.loads(text)["components"])
    assert names == ["apache-tvm", "libc6", "net", "numpy", "python3", "weights/w.bin"]  # numpy once, as pip has it
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert debian_components(DPKG)[0]["purl"] == "pkg:deb/debian/libc6@2.36-9?arch=amd64"
    assert debian_components("") == []


def test_pairs_are_parted_at_the_first_equals_sign() -> None:
    assert read_pairs("--build-arg", ("BASE=a=b", "X=")) == {"BASE": "a=b", "X": ""}
    with pytest.raises(UsageError, match="--label 'novalue': expected NAME=VALUE"):
        read_pairs("--label", ("novalue",))


def test_a_file_with_two_names_weighs_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    (tmp_path / "c").symlink_to("a")
    assert tree_bytes(tmp_path) == 5


def test_the_sbom_program_needs_the_standard_library_alone() -> None:
    path = Path(context_module.__file__).with_name("image_sbom.py")
    done = subprocess.run([sys.executable, "-I", "-S", str(path)], capture_output=True, text=True, check=False)
    assert "ValueError" in done.stderr  # no arguments; the imports worked
