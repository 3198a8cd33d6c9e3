"""`--watch` while files are being copied: the old version answers until the new one is whole, in whichever order, at
whichever pace and with whichever times it comes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.serving import Serving
from support.tiny_artifact import copy_tiny, reseal

URL = "/v1/models/tiny:predict"
PAUSE = 2.6  # seconds: longer than the server needs to see that nothing moves
BOUND = 90


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    return copy_tiny(tmp_path)


def version_of(artifact: Path, place: Path, version: str) -> Path:
    """Return a copy of another version, elsewhere."""
    copied = Path(shutil.copytree(artifact, place))
    reseal(copied, lambda m: dataclasses.replace(m, model=dataclasses.replace(m.model, version=version)))
    return copied


def files_of(artifact: Path, manifest_first: bool) -> list[str]:
    names = sorted(path.relative_to(artifact).as_posix() for path in artifact.rglob("*") if path.is_file())
    return sorted(names, key=lambda name: (name == "manifest.json") is not manifest_first)


@contextlib.contextmanager
def watching(artifact: Path, jpeg: bytes) -> Iterator[Serving]:
    """Serve with --watch, and ask all the time: each answer must be a good one."""
    with Serving.start(artifact, "--watch") as server:
        stop, bad = threading.Event(), list[int]()

        def ask() -> None:
            while not stop.is_set():
                status = server.request("POST", URL, jpeg)[0]
                if status != 200:
                    bad.append(status)
                time.sleep(0.02)

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            yield server
        finally:
            stop.set()
            asking.join(BOUND)
        assert bad == []
        assert server.process.poll() is None


def served(server: Serving) -> list[str]:
    found: list[str] = server.json("GET", "/v2/models/tiny")[1]["versions"]
    return found


def wait_for_version(server: Serving, version: str) -> None:
    end = time.monotonic() + BOUND
    while served(server) != [version]:
        assert time.monotonic() < end, server.lines[-5:]
        time.sleep(0.05)


def overwrite(source: Path, target: Path, half: Callable[[], None]) -> None:
    """As `cp` does: the file is emptied, and grows; its times become the source's, as with `cp -p`."""
    data = source.read_bytes()
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        file.write(data[: len(data) // 2])
        file.flush()
        half()
        file.write(data[len(data) // 2 :])
    shutil.copystat(source, target)


def put_beside(source: Path, target: Path, half: Callable[[], None]) -> None:
    """As `rsync` does: a file of another name, renamed when it is whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.part")
    overwrite(source, partial, half)
    partial.replace(target)


@pytest.mark.parametrize("manifest_first", [True, False])
@pytest.mark.parametrize("copy", [overwrite, put_beside])
def test_a_copy_that_takes_its_time(
    artifact: Path, tmp_path: Path, jpeg: bytes, copy: Callable[..., None], manifest_first: bool
) -> None:
    second = version_of(artifact, tmp_path / "second", "2")
    for folder in (artifact, second):  # times say nothing: all are the same, before and after
        for name in files_of(folder, True):
            os.utime(folder / name, (1_000_000_000, 1_000_000_000))
    # Each file is another than before, so that a version is whole only when the last one has come
    with watching(artifact, jpeg) as server:
        for name in files_of(second, manifest_first):
            pause = functools.partial(time.sleep, PAUSE if name == "manifest.json" else 0.3)
            copy(second / name, artifact / name, pause)
            pause()
        wait_for_version(server, "2")


def test_a_version_whose_weights_come_late(artifact: Path, tmp_path: Path, jpeg: bytes) -> None:
    """Its manifest lies there, whole and still, long before; it is refused, and taken when the rest is there."""
    second = version_of(artifact, tmp_path / "second", "2")
    late = [name for name in files_of(second, True) if name.startswith(("weights/", "targets/"))]
    with watching(artifact, jpeg) as server:
        for name in late:
            (artifact / name).unlink()
        shutil.copy(second / "manifest.json", artifact / "manifest.json")
        server.wait_for("reload_failed", BOUND)
        assert served(server) == ["1"]
        for name in late:
            time.sleep(PAUSE)
            shutil.copy2(second / name, artifact / name)
        wait_for_version(server, "2")
        failures = len(server.events("reload_failed"))
        assert failures <= len(late) + 1  # one for each change, not one for each look


def test_a_broken_version_is_mended_in_place(artifact: Path, tmp_path: Path, jpeg: bytes) -> None:
    """One byte, put right without a change of size or of times."""
    second = version_of(artifact, tmp_path / "second", "2")
    name = next(name for name in files_of(second, True) if name.startswith("weights/"))
    good = (second / name).read_bytes()
    with watching(artifact, jpeg) as server:
        (artifact / name).unlink()
        (artifact / name).write_bytes(bytes((good[0] ^ 1,)) + good[1:])
        state = (artifact / name).stat()
        shutil.copy2(second / "manifest.json", artifact / "manifest.json")
        assert server.wait_for("reload_failed", BOUND)["type"] == "FileChanged"
        with (artifact / name).open("r+b") as file:
            file.write(good[:1])
        os.utime(artifact / name, ns=(state.st_atime_ns, state.st_mtime_ns))
        wait_for_version(server, "2")


def test_a_folder_renamed_into_place(artifact: Path, tmp_path: Path, jpeg: bytes) -> None:
    second = version_of(artifact, tmp_path / "second", "2")
    with watching(artifact, jpeg) as server:
        artifact.rename(tmp_path / "old")
        time.sleep(PAUSE)
        assert served(server) == ["1"]
        second.rename(artifact)
        wait_for_version(server, "2")
        assert server.events("reload_failed") == []


def test_a_folder_removed_and_made_again(artifact: Path, tmp_path: Path, jpeg: bytes) -> None:
    second = version_of(artifact, tmp_path / "second", "2")
    with watching(artifact, jpeg) as server:
        shutil.rmtree(artifact)
        time.sleep(PAUSE)
        shutil.copytree(second, artifact)
        wait_for_version(server, "2")
        shutil.rmtree(artifact)
        shutil.copytree(second, artifact)
        time.sleep(2 * PAUSE)
        assert len(server.events("reloaded")) == 1  # the same once more is nothing new


def test_links_switched_as_kubernetes_does(artifact: Path, tmp_path: Path, jpeg: bytes) -> None:
    """A volume's `..data` is a link to a folder with a date, and the artifact's own place one to `..data`."""
    volume = tmp_path / "volume"
    (volume / "..2026_01").mkdir(parents=True)
    shutil.copytree(artifact, volume / "..2026_01/model")
    (volume / "..data").symlink_to("..2026_01")
    (volume / "model").symlink_to("..data/model")
    with watching(volume / "model", jpeg) as server:
        (volume / "..2026_02").mkdir()
        version_of(artifact, volume / "..2026_02/model", "2")
        (volume / "..data_tmp").symlink_to("..2026_02")
        (volume / "..data_tmp").replace(volume / "..data")
        shutil.rmtree(volume / "..2026_01")
        wait_for_version(server, "2")
        assert server.events("reload_failed") == []


def test_touching_files_is_nothing_new(artifact: Path, jpeg: bytes) -> None:
    with watching(artifact, jpeg) as server:
        for name in files_of(artifact, True):
            os.utime(artifact / name)
            (artifact / name).chmod(0o600)
        (artifact / "notes.txt").write_text("a file of somebody's")
        time.sleep(2 * PAUSE)
        assert server.events("reloaded") == server.events("reload_failed") == []
