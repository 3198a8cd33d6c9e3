"""Writing elsewhere and renaming: whole, or not at all."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ovenbird.artifact import packaging
from ovenbird.artifact.packaging import Staging, check_output, write_file
from ovenbird.errors import DiskFull, OutputError, output_error
from ovenbird.lowering.dumping import keep_kinds
from ovenbird.process import interruption
from ovenbird.process.interruption import Stopped, unwind
from ovenbird_runtime.artifact.artifact import open_artifact
from ovenbird_runtime.manifest.manifest import (
    Manifest,
    ModelInfo,
    Program,
    TensorSpec,
    VariantRef,
    WeightsInfo,
    file_record,
    seal,
)
from support.interrupting import interrupted


def put_artifact(folder: Path, version: str) -> None:
    """Write the smallest artifact there can be."""
    write_file(folder / "targets/t/model.so", version.encode())
    write_file(folder / "targets/t/target.json", b"{}")
    files = {name: file_record(folder / name) for name in ("targets/t/model.so", "targets/t/target.json")}
    spec = TensorSpec("x", "float32", ("N", 4))
    model = ModelInfo("net", version, "", "MIT", WeightsInfo("random", random=True))
    variants = (VariantRef("t", "targets/t"),)
    manifest = Manifest(2, model, {"main": Program((spec,), (spec,))}, None, {}, variants, files)
    write_file(folder / "manifest.json", seal(manifest))


def version_of(folder: Path) -> str:
    return open_artifact(folder).manifest.model.version


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


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
    for version in ("old", "new"):
        with Staging(output) as staging:
            put_artifact(staging.folder, version)
            staging.commit()
    assert version_of(output) == "new"
    assert entries(tmp_path) == ["artifact"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_the_old_one_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    output = tmp_path / "artifact"
    put_artifact(output, "old")

    def fail() -> None:
        with Staging(output) as staging:
            write_file(staging.folder / "manifest.json", b"half")
            raise error

    with pytest.raises(error):
        fail()
    assert version_of(output) == "old"
    assert entries(tmp_path) == ["artifact"]


def test_a_rename_that_fails_brings_the_old_one_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "artifact"
    put_artifact(output, "old")
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if path.name.endswith(".partial"):
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OutputError, match="Input/output error"), Staging(output) as staging:
        staging.commit()
    assert entries(tmp_path) == ["artifact"]
    assert version_of(output) == "old"


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # what was interrupted closes its files late
@pytest.mark.parametrize("old", [None, "old"])
def test_a_signal_at_any_step_leaves_one_whole_artifact(tmp_path: Path, old: str | None) -> None:
    def replace() -> None:
        with Staging(output) as staging:
            put_artifact(staging.folder, "new")
            staging.commit()

    def command() -> None:
        with contextlib.suppress(Stopped):
            unwind(replace)

    before = signal.getsignal(signal.SIGHUP)

    def strike() -> None:
        if signal.getsignal(signal.SIGHUP) != before:  # else it would end the tests
            signal.raise_signal(signal.SIGHUP)

    for at in range(2000):
        output = tmp_path / str(at) / "artifact"
        output.parent.mkdir()
        if old:
            put_artifact(output, old)
        whole = not interrupted(command, at, strike, interruption, packaging, shutil)
        assert entries(output.parent) in ([["artifact"]] if old else [["artifact"], []]), at
        if output.exists():
            assert version_of(output) in ("new", old), at
        if whole:
            assert version_of(output) == "new"
            break
    assert 50 < at < 1999


def test_what_a_killed_compiler_left_is_swept_away(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from ovenbird.artifact.packaging import Staging\n"
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


WEB_APP = b'{"name": "Shop", "short_name": "Shop", "start_url": ".", "display": "standalone", "icons": []}'


@pytest.mark.parametrize(
    "manifest",
    [WEB_APP, b"", b"{}", b"[" * 100_000, b'{"schema_version": 1}', b'{"schema_version": 99}', b"\xff\xfe", None],
    ids=["a web app's", "empty", "an object", "deep", "of a version", "of a later version", "no text", "damaged"],
)
def test_a_manifest_of_something_else_protects_its_folder(tmp_path: Path, manifest: bytes | None) -> None:
    folder = tmp_path / "app"
    put_artifact(folder, "1")
    path = folder / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b"MIT", b"BSD") if manifest is None else manifest)
    write_file(folder / "js" / "main.js", b"years of work")
    before = contents(folder)
    with pytest.raises(OutputError, match="other files than a sound artifact"), Staging(folder):
        pass
    assert contents(folder) == before


def a_file_beside(folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")


def a_file_within(folder: Path) -> None:
    (folder / "targets" / "t" / "notes.txt").write_text("mine")


def a_hidden_file(folder: Path) -> None:
    write_file(folder / ".git" / "HEAD", b"ref")


def a_link(folder: Path) -> None:
    (folder / "targets" / "t" / "model.so").unlink()
    (folder / "targets" / "t" / "model.so").symlink_to("/etc/hostname")


@pytest.mark.parametrize("put", [a_file_beside, a_file_within, a_hidden_file, a_link])
def test_an_artifact_with_a_file_of_somebody_else_s_is_kept(tmp_path: Path, put: Callable[[Path], None]) -> None:
    folder = tmp_path / "artifact"
    put_artifact(folder, "1")
    (folder / "SHA256SUMS").write_text("ours")
    (folder / f"manifest.json.{'0' * 32}.sig").write_bytes(b"ours")
    check_output(folder)
    put(folder)
    before = contents(folder)
    with pytest.raises(OutputError, match="not the artifact's and would be lost"), Staging(folder):
        pass
    assert contents(folder) == before


def test_what_came_while_it_was_compiled_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "artifact"

    def compile_meanwhile() -> None:
        with Staging(folder) as staging:
            put_artifact(staging.folder, "1")
            write_file(folder / "thesis.tex", b"years of work")
            staging.commit()

    with pytest.raises(OutputError, match="other files"):
        compile_meanwhile()
    assert contents(tmp_path) == {"artifact/thesis.tex": b"years of work"}


def test_kinds_of_code_that_are_not_wanted(tmp_path: Path) -> None:
    for name in ("lowered.relax", "model.asm", "model.cu", "thesis.tex", "mine/model.ll"):
        write_file(tmp_path / name, b"")
    keep_kinds(tmp_path, ("asm",))
    assert set(contents(tmp_path)) == {"model.asm", "thesis.tex", "mine/model.ll"}


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
