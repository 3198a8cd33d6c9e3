"""Who runs an artifact's code: as asked for, here or by the environment, or as it fits."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

import ovenbird_runtime
from ovenbird_runtime import errors
from ovenbird_runtime.engine.loading import ENGINE_VARIABLE


def test_tvm_runs_it_where_the_package_is_not_there(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ovenbird_native", None)
    with ovenbird_runtime.load(tiny, threads=1) as model:
        assert model.engine == "tvm"
    with pytest.raises(errors.LibraryMissing, match=r"ovenbird_native cannot be imported.*\./runtime/native"):
        ovenbird_runtime.load(tiny, threads=1, engine="native")


def test_a_package_of_another_version_is_passed_over(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = types.ModuleType("ovenbird_native")
    package.__version__ = "9.9"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ovenbird_native", package)
    with ovenbird_runtime.load(tiny, threads=1) as model:
        assert model.engine == "tvm"
    monkeypatch.setenv(ENGINE_VARIABLE, "native")
    with pytest.raises(errors.VersionMismatch, match=r"ovenbird_native 9\.9 is installed"):
        ovenbird_runtime.load(tiny, threads=1)


def test_an_unknown_engine_is_refused(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(errors.WrongOption, match='engine is \'onnx\', expected "tvm" or "native"'):
        ovenbird_runtime.load(tiny, engine="onnx")  # type: ignore[arg-type]
    monkeypatch.setenv(ENGINE_VARIABLE, "x")
    with pytest.raises(errors.WrongOption, match="engine is 'x'"):
        ovenbird_runtime.load(tiny)
