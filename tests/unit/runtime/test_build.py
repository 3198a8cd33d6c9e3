"""The runtime's wheel: TVM's libraries come from a checked wheel, and the result is tagged for its platform."""

from __future__ import annotations

import hashlib
import runpy
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ovenbird_runtime.engine.ffi import LIBRARY_FOLDER
from ovenbird_runtime.machine.versions import TVM_FFI_VERSION

RUNTIME = Path(__file__).resolve().parents[3] / "runtime"


@pytest.fixture(scope="module")
def hook() -> dict[str, Any]:
    return runpy.run_path(str(RUNTIME / "hatch_build.py"))


def test_the_pair_is_pinned_in_the_dependencies() -> None:
    assert f'"apache-tvm-ffi=={TVM_FFI_VERSION}"' in (RUNTIME / "pyproject.toml").read_text()


def test_the_libraries_here_are_the_pinned_ones(hook: dict[str, Any]) -> None:
    for name, expected in hook["FILES"][hook["machine_arch"]()].items():
        assert hashlib.sha256((LIBRARY_FOLDER / name).read_bytes()).hexdigest() == expected


def test_what_is_there_is_used_again(hook: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVENBIRD_TVM_WHEEL", "/nowhere.whl")  # would fail if it were opened
    hook["fill"](LIBRARY_FOLDER, hook["machine_arch"]())


@pytest.mark.parametrize("content", [None, b"", b"PK\5\6" + bytes(18)], ids=["missing", "empty", "another"])
def test_a_wrong_wheel_is_refused(
    hook: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    wheel = tmp_path / "apache_tvm.whl"
    if content is not None:
        wheel.write_bytes(content)
    monkeypatch.setenv("OVENBIRD_TVM_WHEEL", str(wheel))
    with pytest.raises(hook["BuildError"], match=r"WrongWheel: apache_tvm\.whl has sha256"):
        hook["fill"](tmp_path / "lib", "aarch64")
    assert not (tmp_path / "lib").exists()


def test_an_unknown_architecture_is_refused(hook: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVENBIRD_RUNTIME_ARCH", "riscv64")
    with pytest.raises(hook["BuildError"], match="UnknownArch: riscv64"):
        hook["wanted_arch"]()


def test_the_wheel_holds_the_library(hook: dict[str, Any], tmp_path: Path) -> None:
    """Built as `pip install ./runtime` builds it, without a network: what is here is used again."""
    pytest.importorskip("hatchling")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", str(tmp_path), str(RUNTIME)], check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("ovenbird_runtime-*.whl")
    arch = hook["machine_arch"]()
    assert wheel.name.endswith(f"-py3-none-manylinux_2_27_{arch}.manylinux_2_28_{arch}.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        for name, expected in hook["FILES"][arch].items():
            assert hashlib.sha256(archive.read(f"ovenbird_runtime/lib/{name}")).hexdigest() == expected
    assert {"ovenbird_runtime/lib/LICENSE.tvm", "ovenbird_runtime/lib/NOTICE.tvm", "ovenbird_runtime/py.typed"} <= names
    sources = {path.relative_to(RUNTIME).as_posix() for path in (RUNTIME / "ovenbird_runtime").rglob("*.py")}
    assert sources <= names
