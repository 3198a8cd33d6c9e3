"""The checks on files: changed, missing, links, devices, paths that leave the folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

import ovenbird_runtime
from ovenbird_runtime.artifact.artifact import open_artifact, open_plain
from ovenbird_runtime.errors import ArtifactNotFound, FileChanged, FileMissing, ManifestInvalid, UnsafePath
from ovenbird_runtime.integrity.blake3 import _hasher
from support.hostile import change_manifest

FILES = ["labels.txt", "targets/tiny/model.so", "targets/tiny/target.json", "evidence/golden.npz"]


def weights_file(folder: Path) -> Path:
    return next((folder / "weights").iterdir())


@pytest.mark.parametrize("path", ["nowhere", "", "\0", "x" * 5000, "labels.txt", "targets"])
def test_a_folder_without_a_manifest_is_refused(tiny: Path, path: str) -> None:
    with pytest.raises(ArtifactNotFound):
        open_artifact(str(tiny / path) if path else tiny / "evidence")


@pytest.mark.parametrize("name", [*FILES, "weights"])
def test_a_changed_byte_is_refused(spoilt: Path, name: str) -> None:
    path = weights_file(spoilt) if name == "weights" else spoilt / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(FileChanged, match="sha256"):
        ovenbird_runtime.load(spoilt)


def note_blake3(artifact: Path, digest: str) -> None:
    """Give the weights a BLAKE3 in the manifest, as large files have one."""
    name = f"weights/{weights_file(artifact).name}"
    change_manifest(artifact, lambda value: value["files"][name].update(blake3=digest))


def test_weights_are_checked_by_their_blake3(spoilt: Path) -> None:
    blake3 = pytest.importorskip("blake3")
    note_blake3(spoilt, blake3.blake3(weights_file(spoilt).read_bytes()).hexdigest())
    ovenbird_runtime.load(spoilt)
    note_blake3(spoilt, "ab" * 32)
    with pytest.raises(FileChanged, match=r"has blake3 .* the manifest says abababababab"):
        ovenbird_runtime.load(spoilt)


def test_without_the_package_weights_are_checked_by_their_sha256(spoilt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "blake3", None)
    _hasher.cache_clear()
    note_blake3(spoilt, "ab" * 32)
    ovenbird_runtime.load(spoilt)
    path = weights_file(spoilt)
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(FileChanged, match="sha256"):
        ovenbird_runtime.load(spoilt)
    _hasher.cache_clear()


@pytest.mark.parametrize("name", [*FILES, "weights"])
def test_a_truncated_file_is_refused(spoilt: Path, name: str) -> None:
    path = weights_file(spoilt) if name == "weights" else spoilt / name
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(FileChanged, match="bytes, the manifest says"):
        ovenbird_runtime.load(spoilt)


@pytest.mark.parametrize("name", [*FILES, "weights"])
def test_a_missing_file_is_refused(spoilt: Path, name: str) -> None:
    (weights_file(spoilt) if name == "weights" else spoilt / name).unlink()
    with pytest.raises(FileMissing, match="cannot be read: No such file"):
        ovenbird_runtime.load(spoilt)


def test_a_changed_manifest_is_refused(spoilt: Path) -> None:
    path = spoilt / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b"Apache-2.0", b"Apache-2.1"))
    with pytest.raises(ManifestInvalid, match="was changed after it was written"):
        ovenbird_runtime.load(spoilt)


def test_an_enormous_manifest_is_refused(spoilt: Path) -> None:
    os.truncate(spoilt / "manifest.json", 1 << 40)
    with pytest.raises(FileChanged, match="it is no manifest"):
        ovenbird_runtime.load(spoilt)


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_link_to_a_file(spoilt: Path, tmp_path: Path, name: str) -> None:
    path = spoilt / name
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnsafePath, match="symbolic link"):
        ovenbird_runtime.load(spoilt)


def test_link_to_a_folder(spoilt: Path, tmp_path: Path) -> None:
    (spoilt / "targets").rename(tmp_path / "elsewhere")
    (spoilt / "targets").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnsafePath, match="symbolic link"):
        ovenbird_runtime.load(spoilt)


def test_link_to_the_artifact_itself_is_the_user_s_choice(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to(tiny)
    assert open_artifact(tmp_path / "current").manifest.model.name == "tiny"


def test_a_pipe_is_refused(spoilt: Path) -> None:
    (spoilt / "labels.txt").unlink()
    os.mkfifo(spoilt / "labels.txt")
    with pytest.raises(UnsafePath, match="not a plain file"):
        ovenbird_runtime.load(spoilt)


def test_folder_in_place_of_a_file(spoilt: Path) -> None:
    (spoilt / "labels.txt").unlink()
    (spoilt / "labels.txt").mkdir()
    with pytest.raises(UnsafePath, match="not a plain file"):
        ovenbird_runtime.load(spoilt)


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/passwd", "", ".", "a//b", "a\0b", "a\\b"])
def test_a_path_out_of_the_folder_is_refused(tiny: Path, name: str) -> None:
    with pytest.raises(UnsafePath, match="not a plain path"):
        os.close(open_plain(tiny, name))


def test_unlisted_files_are_left_alone(spoilt: Path) -> None:
    (spoilt / "targets" / "tiny" / "notes").write_text("mine")
    ovenbird_runtime.load(spoilt).close()
    with pytest.raises(FileMissing, match="not in the manifest's file table"):
        open_artifact(spoilt).open("targets/tiny/notes")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_refused(spoilt: Path) -> None:
    (spoilt / "labels.txt").chmod(0)
    with pytest.raises(FileMissing, match="Permission denied"):
        ovenbird_runtime.load(spoilt)
