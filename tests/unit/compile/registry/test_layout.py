"""A folder of OCI's layout: what is pushed comes back byte for byte; what lies about itself does not."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ovenbird.errors import OutputError, ReferenceInvalid, RegistryFailed
from ovenbird.process.progress import Progress
from ovenbird.registry.references import ImageReference
from ovenbird.registry.transferring import pull, push
from ovenbird_runtime.errors import FileChanged, OvenbirdError, SignatureForeign, SignatureMissing
from support.signing import Signer
from support.tiny_artifact import copy_tiny

QUIET = Progress()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    return copy_tiny(tmp_path)


@pytest.fixture
def reference(tmp_path: Path) -> ImageReference:
    return ImageReference.parse(f"oci:{tmp_path}/layout:tiny")


def blob(layout: Path, digest: str) -> Path:
    return layout / "blobs" / digest.replace(":", "/")


def test_what_is_pushed_comes_back(artifact: Path, reference: ImageReference, tmp_path: Path) -> None:
    Signer(1).sign(artifact)
    pushed = push(artifact, reference, step=QUIET)
    pulled = pull(reference, tmp_path / "again", public_key=Signer(1).public_file(tmp_path), step=QUIET)
    assert contents(tmp_path / "again") == contents(artifact)
    assert pulled.digest == pushed.digest
    assert pulled.signed_by == Signer(1).public.id
    again = push(artifact, reference, step=QUIET)
    assert (again.moved, again.digest) == (0, pushed.digest)  # nothing is sent twice, and the bytes are the same


def test_the_layout_is_ocis(artifact: Path, reference: ImageReference, tmp_path: Path) -> None:
    """Each blob is named by its content; the manifest has what the specification requires of artifacts."""
    digest = push(artifact, reference, step=QUIET).digest
    layout = tmp_path / "layout"
    assert json.loads((layout / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    assert entry["digest"] == digest
    assert entry["annotations"] == {"org.opencontainers.image.ref.name": "tiny"}
    for path in (layout / "blobs/sha256").iterdir():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    manifest = json.loads(blob(layout, digest).read_bytes())
    assert manifest["config"]["mediaType"] == "application/vnd.oci.empty.v1+json"
    assert blob(layout, manifest["config"]["digest"]).read_bytes() == b"{}"
    titles = [layer["annotations"]["org.opencontainers.image.title"] for layer in manifest["layers"]]
    assert sorted(titles) == sorted(contents(artifact))


def test_tags_stand_next_to_each_other(artifact: Path, reference: ImageReference, tmp_path: Path) -> None:
    first = push(artifact, reference, step=QUIET).digest
    Signer(1).sign(artifact)
    second = push(artifact, ImageReference.parse(f"oci:{tmp_path}/layout:signed"), step=QUIET).digest
    third = push(artifact, reference, step=QUIET).digest
    assert first != second == third
    by_digest = ImageReference.parse(f"oci:{tmp_path}/layout@{first}")
    assert pull(by_digest, tmp_path / "old", step=QUIET).digest == first
    with pytest.raises(ReferenceInvalid, match="it has signed, tiny"):
        pull(ImageReference.parse(f"oci:{tmp_path}/layout:other"), tmp_path / "x", step=QUIET)


def test_a_spoilt_artifact_is_not_pushed(artifact: Path, reference: ImageReference, tmp_path: Path) -> None:
    labels = next(artifact.glob("*.txt"))
    labels.write_bytes(labels.read_bytes()[:-1] + b"x")
    with pytest.raises(FileChanged):
        push(artifact, reference, step=QUIET)
    assert not (tmp_path / "layout").exists()


def rewrite(layout: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the manifest that the tag leads to, under a digest of its own, as who owns the registry could."""
    index = json.loads((layout / "index.json").read_text())
    manifest = json.loads(blob(layout, index["manifests"][0]["digest"]).read_bytes())
    change(manifest)
    data = json.dumps(manifest).encode()
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    blob(layout, digest).write_bytes(data)
    index["manifests"][0] |= {"digest": digest, "size": len(data)}
    (layout / "index.json").write_text(json.dumps(index))


def layer(manifest: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in manifest["layers"] if one["annotations"]["org.opencontainers.image.title"] == name)


def rename(manifest: dict[str, Any]) -> None:
    layer(manifest, "labels.txt")["annotations"]["org.opencontainers.image.title"] = "../labels.txt"


def swap(manifest: dict[str, Any]) -> None:
    other = layer(manifest, "evidence/golden.npz")
    layer(manifest, "labels.txt").update(digest=other["digest"], size=other["size"])


def drop(manifest: dict[str, Any]) -> None:
    manifest["layers"].remove(layer(manifest, "labels.txt"))


def shrink(manifest: dict[str, Any]) -> None:
    layer(manifest, "labels.txt")["size"] -= 1


def blow_up(manifest: dict[str, Any]) -> None:
    layer(manifest, "manifest.json")["size"] = 1 << 33


def retype(manifest: dict[str, Any]) -> None:
    manifest["artifactType"] = "application/vnd.example"


def number(manifest: dict[str, Any]) -> None:
    layer(manifest, "labels.txt")["size"] = "12"


@pytest.mark.parametrize("change", [rename, swap, drop, shrink, blow_up, retype, number])
def test_a_registry_that_lies_is_refused(
    change: Callable[[dict[str, Any]], None], artifact: Path, reference: ImageReference, tmp_path: Path
) -> None:
    digest = push(artifact, reference, step=QUIET).digest
    rewrite(tmp_path / "layout", change)
    with pytest.raises(RegistryFailed):
        pull(reference, tmp_path / "again", step=QUIET)
    assert not [path for path in tmp_path.iterdir() if "again" in path.name]  # nothing is left behind
    # who names the digest gets what was pushed
    assert pull(ImageReference.parse(f"oci:{tmp_path}/layout@{digest}"), tmp_path / "good", step=QUIET).digest == digest


def test_content_of_the_same_size_that_manifest_json_does_not_name(
    artifact: Path, reference: ImageReference, tmp_path: Path
) -> None:
    """Each blob is what the registry says it is; the artifact's own manifest names another."""
    push(artifact, reference, step=QUIET)
    forged = (artifact / "labels.txt").read_bytes().swapcase()
    digest = f"sha256:{hashlib.sha256(forged).hexdigest()}"
    blob(tmp_path / "layout", digest).write_bytes(forged)
    rewrite(tmp_path / "layout", lambda manifest: layer(manifest, "labels.txt").update(digest=digest))
    with pytest.raises(RegistryFailed, match=r"does not hold labels\.txt as its manifest\.json names it"):
        pull(reference, tmp_path / "again", step=QUIET)


@pytest.mark.parametrize("what", ["a file", "the manifest", "a missing file"])
def test_changed_blobs_are_refused(what: str, artifact: Path, reference: ImageReference, tmp_path: Path) -> None:
    digest = push(artifact, reference, step=QUIET).digest
    layout = tmp_path / "layout"
    labels = layer(json.loads(blob(layout, digest).read_bytes()), "labels.txt")["digest"]
    if what == "a file":
        blob(layout, labels).write_bytes(b"x" * blob(layout, labels).stat().st_size)
    elif what == "a missing file":
        blob(layout, labels).unlink()
    else:
        blob(layout, digest).write_bytes(blob(layout, digest).read_bytes() + b" ")
        reference = ImageReference.parse(f"{reference.text}@{digest}")
    with pytest.raises(RegistryFailed):
        pull(reference, tmp_path / "again", step=QUIET)
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("text", ["[]", "{", '{"manifests": [1]}', '{"manifests": [{"digest": "../../x"}]}'])
def test_an_index_that_is_none(text: str, artifact: Path, reference: ImageReference, tmp_path: Path) -> None:
    push(artifact, reference, step=QUIET)
    named = text.replace('"digest"', '"annotations": {"org.opencontainers.image.ref.name": "tiny"}, "digest"')
    (tmp_path / "layout/index.json").write_text(named)
    with pytest.raises(RegistryFailed, match=r"index\.json"):
        pull(reference, tmp_path / "again", step=QUIET)


def test_signatures_are_checked_before_files_are_fetched(
    artifact: Path, reference: ImageReference, tmp_path: Path
) -> None:
    ours = Signer(1).public_file(tmp_path)
    digest = push(artifact, reference, step=QUIET).digest
    labels = layer(json.loads(blob(tmp_path / "layout", digest).read_bytes()), "labels.txt")["digest"]
    blob(tmp_path / "layout", labels).unlink()  # would be missed, were it asked for
    with pytest.raises(SignatureMissing):
        pull(reference, tmp_path / "again", public_key=ours, step=QUIET)
    Signer(2).sign(artifact)
    push(artifact, reference, step=QUIET)
    with pytest.raises(SignatureForeign):
        pull(reference, tmp_path / "again", public_key=ours, step=QUIET)
    with pytest.raises(OvenbirdError):
        push(artifact, reference, public_key=ours, step=QUIET)


def test_a_folder_of_others_is_not_replaced(artifact: Path, reference: ImageReference, tmp_path: Path) -> None:
    push(artifact, reference, step=QUIET)
    (tmp_path / "again").mkdir()
    (tmp_path / "again/mine.txt").write_text("mine")
    with pytest.raises(OutputError):
        pull(reference, tmp_path / "again", step=QUIET)
    shutil.rmtree(tmp_path / "again")
    pull(reference, tmp_path / "again", step=QUIET)
    pull(reference, tmp_path / "again", step=QUIET)  # an artifact is replaced
