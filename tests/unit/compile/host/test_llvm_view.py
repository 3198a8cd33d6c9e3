"""LLVM is asked once for a processor and a version of TVM, and again for any other."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

import pytest

from ovenbird.host import llvm_view as module
from ovenbird.host.llvm_view import VIEW, llvm_view

ANSWER = ("znver3", frozenset({"avx2", "fma"}))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """How often LLVM was asked, in processes that have not imported TVM."""
    calls: list[int] = []

    def ask() -> tuple[str, frozenset[str]]:
        calls.append(1)
        return ANSWER

    monkeypatch.setenv("OVENBIRD_CACHE", str(tmp_path))
    monkeypatch.setattr(module, "ask_llvm", ask)
    monkeypatch.delitem(sys.modules, "tvm", raising=False)
    return calls


def test_a_processor_is_asked_for_once(asked: list[int]) -> None:
    assert [llvm_view("one", ["fma", "avx2"]) for _ in range(3)] == [ANSWER] * 3
    assert len(asked) == 1


def test_another_processor_other_flags_and_another_tvm_are_asked_for(
    asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    llvm_view("one", ["fma"])
    llvm_view("two", ["fma"])
    llvm_view("two", ["fma", "avx2"])
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "9.9")
    llvm_view("two", ["fma", "avx2"])
    assert len(asked) == 4


@pytest.mark.parametrize("text", ["", "[]", "{", '{"of": 1}', "null"])
def test_what_cannot_be_read_is_asked_for(asked: list[int], tmp_path: Path, text: str) -> None:
    (tmp_path / VIEW).write_text(text)
    assert llvm_view("one", []) == ANSWER
    assert llvm_view("one", []) == ANSWER
    assert len(asked) == 1


def test_a_folder_that_cannot_be_written_costs_time_only(
    asked: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("OVENBIRD_CACHE", str(tmp_path / "file"))
    assert llvm_view("one", []) == ANSWER
    assert llvm_view("one", []) == ANSWER
    assert len(asked) == 2
