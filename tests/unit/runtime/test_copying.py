"""`ovenbird-rt copy`: the copy is what the manifest says, or there is none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ovenbird_runtime import copying
from ovenbird_runtime.artifact.artifact import open_artifact
from ovenbird_runtime.cli import main
from ovenbird_runtime.copying import copy_artifact
from ovenbird_runtime.errors import (
    ArtifactNotFound,
    FileChanged,
    FileMissing,
    OutputNotWritten,
    SignatureMissing,
    UnsafePath,
)
from support.signing import Signer
from support.tiny_artifact import copy_tiny


def session(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_copy_is_whole(tiny: Path, tmp_path: Path) -> None:
    result = session("copy", tiny, tmp_path / "there")
    assert result.exit_code == 0
    count = len(open_artifact(tiny).manifest.files)
    assert result.stdout.startswith(f"tiny: {count} files, ")
    assert files_of(tmp_path / "there") == files_of(tiny)
    assert session("selftest", tmp_path / "there").exit_code == 0


def test_a_copy_is_described_as_json(tiny: Path, tmp_path: Path) -> None:
    document = json.loads(session("copy", tiny, tmp_path / "there", "--json").stdout)
    assert document["model"] == "tiny"
    assert document["bytes"] == sum(record.size for record in open_artifact(tiny).manifest.files.values())
    assert document["signed_by"] is None


def test_into_an_empty_folder_and_again(tiny: Path, tmp_path: Path) -> None:
    """The folder is a mount's root: it cannot be renamed, and a restarted pod finds what the first one left."""
    copy_artifact(tiny, tmp_path)
    (tmp_path / "labels.txt").write_text("cut o")
    mapped = (tmp_path / "targets/tiny/model.so").open("rb")
    copy_artifact(tiny, tmp_path)
    assert files_of(tmp_path) == files_of(tiny)
    with mapped:  # who still has the earlier file open keeps it
        assert mapped.read() == (tiny / "targets/tiny/model.so").read_bytes()
        assert os.fstat(mapped.fileno()).st_nlink == 0


def test_files_that_are_not_listed_stay_behind(spoilt: Path, tmp_path: Path) -> None:
    (spoilt / "notes.txt").write_text("mine")
    copy_artifact(spoilt, tmp_path / "there")
    assert not (tmp_path / "there/notes.txt").exists()


def change_a_byte(artifact: Path) -> None:
    path = artifact / "targets/tiny/model.so"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def put_a_link(artifact: Path) -> None:
    path = artifact / "labels.txt"
    path.rename(artifact / "other.txt")
    path.symlink_to("other.txt")


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (change_a_byte, FileChanged),
        (put_a_link, UnsafePath),
        (lambda artifact: (artifact / "labels.txt").unlink(), FileMissing),
        (lambda artifact: (artifact / "manifest.json").unlink(), ArtifactNotFound),
        (lambda artifact: os.truncate(artifact / "evidence/golden.npz", 10), FileChanged),
    ],
)
def test_what_is_wrong_is_never_an_artifact(
    spoilt: Path, tmp_path: Path, spoil: Callable[[Path], None], error: type[Exception]
) -> None:
    copy_artifact(spoilt, tmp_path / "there")  # an earlier copy that was whole
    spoil(spoilt)
    with pytest.raises(error):
        copy_artifact(spoilt, tmp_path / "there")
    if error is not ArtifactNotFound:  # there was nothing to copy: what was there stays
        assert not (tmp_path / "there/manifest.json").exists()


WEB_APP = b'{"name": "Shop", "start_url": ".", "display": "standalone", "icons": []}'


@pytest.mark.parametrize(
    "files",
    [
        {"manifest.json": WEB_APP},
        {"manifest.json": b""},
        {"labels.txt": b"mine"},
        {"manifest.json": WEB_APP, "labels.txt": b"mine"},
        {"manifest.json.partial": b"", "labels.txt": b"mine"},
        {"manifest.json.partial": b"mine", "weights/mine.bin": b"mine"},
    ],
)
def test_files_of_the_same_names_are_not_overwritten(tiny: Path, tmp_path: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    with pytest.raises(OutputNotWritten, match="give an empty folder"):
        copy_artifact(tiny, tmp_path)
    assert files_of(tmp_path) == files


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_copy_that_was_cut_off_is_taken_up_again(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    copy, left = copying._copy, [count]

    def cut_off(descriptor: int, output: Path) -> str:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return copy(descriptor, output)

    for _ in range(2):  # an empty folder, then one that holds half a copy
        left[0] = count
        monkeypatch.setattr(copying, "_copy", cut_off)
        with pytest.raises(KeyboardInterrupt):
            copy_artifact(tiny, tmp_path)
        monkeypatch.undo()
        assert not (tmp_path / "manifest.json").exists()
    copy_artifact(tiny, tmp_path)
    assert files_of(tmp_path) == files_of(tiny)


def test_a_copy_asks_for_a_signature(tmp_path: Path) -> None:
    artifact, key = copy_tiny(tmp_path / "from"), Signer(1)
    public = key.public_file(tmp_path)
    with pytest.raises(SignatureMissing):
        copy_artifact(artifact, tmp_path / "there", public)
    assert not (tmp_path / "there").exists()
    name = key.sign(artifact).name
    assert copy_artifact(artifact, tmp_path / "there", public).signed_by == key.public.id
    assert (tmp_path / "there" / name).exists()
    assert session("selftest", tmp_path / "there", "--require-signature", public).exit_code == 0


@pytest.mark.parametrize("inside", ["", "copy", "targets/../copy"])
def test_an_artifact_is_not_copied_into_itself(spoilt: Path, inside: str) -> None:
    before = files_of(spoilt)
    with pytest.raises(OutputNotWritten, match="lies in the artifact itself"):
        copy_artifact(spoilt, spoilt / inside)
    assert files_of(spoilt) == before


@pytest.mark.parametrize("name", ["mine.txt", "targets/mine.txt", "weights"])
def test_not_over_other_files(tiny: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    if name == "weights":
        path.symlink_to("/")  # a folder of ours that leads elsewhere
    else:
        path.write_text("mine")
    with pytest.raises(OutputNotWritten, match="give an empty folder"):
        copy_artifact(tiny, tmp_path)
    assert not (tmp_path / "manifest.json").exists()


@pytest.mark.parametrize("name", ["mine.txt", "targets/mine.txt"])
def test_not_over_a_copy_with_other_files(tiny: Path, tmp_path: Path, name: str) -> None:
    copy_artifact(tiny, tmp_path)
    (tmp_path / name).write_text("mine")
    before = files_of(tmp_path)
    with pytest.raises(OutputNotWritten, match=f"holds '{name}', which is not this artifact's"):
        copy_artifact(tiny, tmp_path)
    assert files_of(tmp_path) == before


@pytest.mark.parametrize("output", ["/proc/nowhere", "/dev/null", "/dev/null/x"])
def test_where_nothing_can_be_written(tiny: Path, output: str) -> None:
    result = session("copy", tiny, output)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: OutputNotWritten: ")
    assert len(result.stderr.splitlines()) == 1


def test_an_output_that_is_no_path(tiny: Path) -> None:
    with pytest.raises(OutputNotWritten, match="not a path"):
        copy_artifact(tiny, "a\0b")


def test_a_full_disk_leaves_no_artifact(tiny: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands for it: the copy ends in one line and is no artifact."""
    command = [sys.executable, "-m", "ovenbird_runtime.cli", "copy", str(tiny), str(tmp_path / "there")]
    script = "import resource, os, sys, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    script += "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); os.execv(sys.argv[1], sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", script, *command],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: OutputNotWritten: ")
    assert not (tmp_path / "there/manifest.json").exists()
