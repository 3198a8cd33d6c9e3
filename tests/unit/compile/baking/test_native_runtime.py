"""The cache of built C++ runtimes: what is there is used, unless anything that builds it is another."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from ovenbird.baking import native_runtime

ZIG = (sys.executable, "-m", "ziglang", "c++", "-target", "x86_64-linux-musl")


@pytest.fixture
def builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return the folders of the builds that were made, none of them by a compiler."""
    made: list[Path] = []

    def build(sources: Path, work: Path, *_: Any) -> Path:
        made.append(work)
        (work / native_runtime.COMMAND).write_text(str(len(made)), encoding="utf-8")
        return work / native_runtime.COMMAND

    (tmp_path / "jpeg").mkdir()
    (tmp_path / "jpeg" / "jpeglib.h").touch()
    monkeypatch.setenv(native_runtime.SOURCE_VARIABLE, str(tmp_path / "jpeg"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(native_runtime, "_find_compiler", lambda *_: ZIG)
    monkeypatch.setattr(native_runtime, "_build", build)
    return made


def test_what_was_built_is_kept(builds: list[Path]) -> None:
    first = native_runtime.find_runtime("x86_64", musl=True)
    assert native_runtime.find_runtime("x86_64", musl=True) == first
    assert len(builds) == 1


def test_other_flags_build_it_again(builds: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    first = native_runtime.find_runtime("x86_64", musl=True)
    monkeypatch.setattr(native_runtime, "SMALL", (*native_runtime.SMALL, "-g"))
    assert native_runtime.find_runtime("x86_64", musl=True) != first
    assert len(builds) == 2


def test_other_options_build_it_again(builds: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = native_runtime.find_runtime("x86_64", musl=True)
    assert native_runtime.find_runtime("riscv64", musl=True) != first
    (tmp_path / "jpeg").rename(tmp_path / "other")
    monkeypatch.setenv(native_runtime.SOURCE_VARIABLE, str(tmp_path / "other"))
    assert native_runtime.find_runtime("x86_64", musl=True) != first
    assert len(builds) == 3
