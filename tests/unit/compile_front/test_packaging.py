"""Writing beside and renaming: whole, or not at all."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ovenbird.errors import DiskFull, OutputError, output_error
from ovenbird.packaging import Staging, check_output, write_file


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_artifact_appears_whole(tmp_path: Path) -> None:
    output = tmp_path / "new" / "artifact"
    with Staging(output) as staging:
        write_file(staging.folder / "a" / "b.txt", b"text")
        assert not output.exists()
        staging.commit()
    assert (output / "a" / "b.txt").read_bytes() == b"text"
    assert entries(output.parent) == ["artifact"]


def test_an_old_artifact_is_replaced(tmp_path: Path) -> None:
    output = tmp_path / "artifact"
    for content in (b"old", b"new"):
        with Staging(output) as staging:
            write_file(staging.folder / "manifest.json", content)
            staging.commit()
    assert (output / "manifest.json").read_bytes() == b"new"
    assert entries(tmp_path) == ["artifact"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_the_old_one_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    output = tmp_path / "artifact"
    write_file(output / "manifest.json", b"old")

    def fail() -> None:
        with Staging(output) as staging:
            write_file(staging.folder / "manifest.json", b"half")
            raise error

    with pytest.raises(error):
        fail()
    assert (output / "manifest.json").read_bytes() == b"old"
    assert entries(tmp_path) == ["artifact"]


def test_a_rename_that_fails_brings_the_old_one_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "artifact"
    write_file(output / "manifest.json", b"old")
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if path.name.endswith(".partial"):
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OutputError, match="Input/output error"), Staging(output) as staging:
        staging.commit()
    assert entries(tmp_path) == ["artifact"]
    assert (output / "manifest.json").read_bytes() == b"old"


def test_what_a_killed_compiler_left_is_swept_away(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from ovenbird.packaging import Staging\n"
        "with Staging(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    )
    output = tmp_path / "artifact"
    paths = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-c", program, output], env=os.environ | paths, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(entries(tmp_path)) == 1
    with Staging(output) as staging:
        write_file(staging.folder / "manifest.json", b"new")
        staging.commit()
    assert entries(tmp_path) == ["artifact"]


def test_other_folders_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    (tmp_path / "empty").mkdir()
    check_output(tmp_path / "empty")
    for name, reason in (
        ("mine", "other files"), ("file", "is a file"), ("link", "symbolic link"), ("file/below", "not a folder"),
    ):  # fmt: skip
        with pytest.raises(OutputError, match=reason):
            check_output(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="may be written"):
        check_output(tmp_path / "artifact")


def test_a_full_disk_is_told_from_other_errors() -> None:
    assert isinstance(output_error(OSError(28, "No space left on device"), "x"), DiskFull)
    assert isinstance(output_error(OSError(27, "File too large"), "x"), DiskFull)
    assert not isinstance(output_error(OSError(13, "Permission denied"), "x"), DiskFull)


def test_a_really_full_device_is_disk_full(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    (tmp_path / "weights").symlink_to("/dev/full")
    with pytest.raises(DiskFull, match="weights"):
        write_file(tmp_path / "weights", b"x" * 100_000)
