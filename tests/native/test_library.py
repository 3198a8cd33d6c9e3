"""The C and C++ interfaces, as other programs use them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from native.conftest import ROOT, build, run
from ovenbird_runtime import __version__

EXECUTABLE_BYTES = 1_890_000
"""With JPEG and the C library, without weights; 1.870 MB of x86-64 when this was written."""
LIBRARY_BYTES = 408_000
"""The shared library, stripped, optimised as a whole; libjpeg-turbo is one of its own. 403 KB when this was written."""
CORE_BYTES = 272_000
"""The same without predictions: artifacts, digests, signatures, sessions. 267 KB when this was written."""


def test_sessions_are_used_from_many_threads(detector: Path) -> None:
    done = run(build() / "ovenbird-sessions", detector)
    assert (done.code, done.out) == (0, "0 answers are wrong\n"), done.err


def test_the_executable_is_small_and_needs_no_library() -> None:
    command = build() / "ovenbird-run"
    assert command.stat().st_size <= EXECUTABLE_BYTES
    assert needed_by(command) == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="chroot needs root")
def test_it_runs_where_nothing_else_is(detector: Path, tmp_path: Path) -> None:
    """In a folder that holds the executable and an artifact alone: what an image FROM scratch is."""
    shutil.copy(build() / "ovenbird-run", tmp_path)
    shutil.copytree(detector, tmp_path / "artifact")
    done = run(Path("chroot"), tmp_path, "/ovenbird-run", "selftest", "/artifact", "--threads", "2")
    assert done.code == 0, done.err
    assert "2 golden rows reproduced" in done.out


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["static", "shared"])
def test_another_project_finds_the_package(detector: Path, tmp_path: Path, kind: str) -> None:
    folder = build()
    if kind == "shared":
        folder = tmp_path / "shared"
        cmake(
            "-S",
            ROOT / "runtime" / "cpp",
            "-B",
            folder,
            "-DOVENBIRD_SHARED=ON",
            "-DOVENBIRD_CLI=OFF",
            "-DOVENBIRD_UNITY=ON",
        )
        cmake("--build", folder)
        exported = {name: exports(folder / f"lib{name}.so") for name in ("ovenbird", "ovenbird-core")}
        predicting = exported["ovenbird"] - exported["ovenbird-core"]
        assert {"ovenbird_run", "ovenbird_open_embedded"} <= exported["ovenbird-core"] < exported["ovenbird"]
        assert {"ovenbird_predict", "ovenbird_preprocess", "ovenbird_box_at"} <= predicting
        assert {name for name in exported["ovenbird"] if not name.startswith("ovenbird_")} == set()
        assert stripped_bytes(folder / "libovenbird.so") <= LIBRARY_BYTES
        assert stripped_bytes(folder / "libovenbird-core.so") <= CORE_BYTES
        assert "jpeg" not in needed_by(folder / "libovenbird-core.so")
    cmake("--install", folder, "--prefix", tmp_path / "prefix")
    cmake("-S", ROOT / "runtime/cpp/example", "-B", tmp_path / "example", f"-DCMAKE_PREFIX_PATH={tmp_path / 'prefix'}")
    cmake("--build", tmp_path / "example")
    done = run(tmp_path / "example" / "shapes", detector)
    assert (done.code, done.out.splitlines()[1:]) == (0, ["classes: 1 5", "features: 1 16"]), done.err
    assert ("libovenbird-core" in needed_by(tmp_path / "example" / "shapes")) == (kind == "shared")
    in_c_alone(tmp_path / "c", ROOT / "runtime/cpp/example/version.c", tmp_path / "prefix")
    for program in (tmp_path / "example" / "version", tmp_path / "c" / "build" / "version"):
        done = run(program)
        assert done.code == 0
        assert done.out.startswith(f"ovenbird {__version__}, ArtifactNotFound: 'nowhere' is no artifact: ")


def in_c_alone(folder: Path, source: Path, prefix: Path) -> None:
    """Build a program by a project that has no C++ in it, as a stranger would write it."""
    folder.mkdir()
    (folder / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.18)\nproject(mine C)\nfind_package(ovenbird 0.1 REQUIRED)\n"
        f"add_executable(version {source})\ntarget_link_libraries(version PRIVATE ovenbird::ovenbird)\n"
    )
    cmake("-S", folder, "-B", folder / "build", f"-DCMAKE_PREFIX_PATH={prefix}")
    cmake("--build", folder / "build")


def exports(library: Path) -> set[str]:
    symbols = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1].partition("@")[0] for line in symbols.splitlines()}


def stripped_bytes(library: Path) -> int:
    subprocess.run(["strip", library], check=True)
    return library.stat().st_size


def needed_by(program: Path) -> str:
    """Return the lines that name libraries to load with a program or library."""
    read = subprocess.run(["readelf", "-d", program], capture_output=True, text=True, check=True).stdout
    return "\n".join(line for line in read.splitlines() if "(NEEDED)" in line)


def cmake(*arguments: str | Path) -> None:
    if "-S" in arguments:
        arguments = (*arguments, "-G", "Ninja")
    done = subprocess.run(["cmake", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
