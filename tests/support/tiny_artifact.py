"""A small real artifact for tests, compiled once a session, or a run of the suite, in a process of its own.

    artifact = copy_tiny(tmp_path)           # a folder that a test may spoil
    reseal(artifact, lambda manifest: dataclasses.replace(manifest, ...))

The compiler's TVM and the runtime's must not meet in one process, hence the subprocess. Where there is no compiler (a
target, another Python), set OVENBIRD_TINY to a folder that `compile_tiny.py` wrote elsewhere.
"""

from __future__ import annotations

import dataclasses
import fcntl
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from ovenbird_runtime.manifest.manifest import (
    Manifest,
    Target,
    decode_manifest,
    decode_target,
    file_record,
    seal,
    target_bytes,
)

_TINY = Path(__file__).with_name("compile_tiny.py")
_DETECTOR = Path(__file__).with_name("compile_detector.py")
_WITHOUT_TORCH = """
import os, runpy, sys
from ovenbird.measure.tvm_alone import import_tvm_alone
import_tvm_alone()
del sys.argv[0]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Runs a script that needs TVM alone: importing torch would be most of its time."""


@functools.cache
def tiny_artifact() -> Path:
    """Compile the tiny network once; return its folder, which nobody may change."""
    if given := os.environ.get("OVENBIRD_TINY"):
        return Path(given)
    return _compile(_TINY)


@functools.cache
def detector_artifact() -> Path:
    """Compile the toy detector once; return its folder, which nobody may change."""
    if find_spec("tvm") is None:
        pytest.skip("no compiler here")
    return _compile(_DETECTOR)


@functools.cache
def coupled_artifact() -> Path:
    """Compile the tiny network that adds the mean over the batch to each row, once; return its folder, which nobody may
    change.
    """
    if find_spec("tvm") is None:
        pytest.skip("no compiler here")
    return _compile(_TINY, "0", "coupled")


@functools.cache
def compiled_by(script: Path, *arguments: str) -> Path:
    """Compile what a script compiles once; return its folder, which nobody may change."""
    return _compile(script, *arguments)


def _compile(script: Path, *arguments: str) -> Path:
    """Compile into a folder of one's own, or, within a run of `ci/steps/test.sh`, once for all its processes."""
    if not (run := os.environ.get("OVENBIRD_TEST_RUN")):
        return _compile_into(Path(tempfile.mkdtemp(prefix="ovenbird-tiny-")) / "tiny", script, *arguments)
    folder = Path(run) / "-".join((script.stem.removeprefix("compile_"), *arguments))
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return folder if folder.is_dir() else _compile_into(folder, script, *arguments)


def _compile_into(folder: Path, script: Path, *arguments: str) -> Path:
    packages = os.pathsep.join(path for path in sys.path if path)
    begun = folder.with_name(f"{folder.name}.begun")
    start = ["-c", _WITHOUT_TORCH] if script in (_TINY, _DETECTOR) else []
    result = subprocess.run(
        [sys.executable, *start, str(script), str(begun), *arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": packages},
        check=False,
    )
    if result.returncode != 0:
        shutil.rmtree(begun, ignore_errors=True)
        raise RuntimeError(f"the tiny network could not be compiled:\n{result.stderr}")
    return begun.rename(folder)


def copy_tiny(folder: Path) -> Path:
    """Copy the tiny artifact into `folder`; return the copy."""
    return Path(shutil.copytree(tiny_artifact(), folder / "artifact"))


def reseal(artifact: Path, change: Callable[[Manifest], Manifest] = lambda manifest: manifest) -> None:
    """Write the manifest again after `change`, every file's size and digest as it is now."""
    manifest = decode_manifest((artifact / "manifest.json").read_bytes())
    files = {name: file_record(artifact / name) for name in manifest.files if (artifact / name).is_file()}
    (artifact / "manifest.json").write_bytes(seal(change(dataclasses.replace(manifest, files=files))))


def reprogram(manifest: Manifest, **changes: Any) -> Manifest:
    """Return the manifest with its only program changed."""
    programs = {name: dataclasses.replace(program, **changes) for name, program in manifest.programs.items()}
    return dataclasses.replace(manifest, programs=programs)


def retarget(artifact: Path, change: Callable[[Target], Target]) -> None:
    """Write the variant's target.json again after `change`, and seal the manifest over it."""
    path = artifact / "targets" / "tiny" / "target.json"
    path.write_bytes(target_bytes(change(decode_target(path.read_bytes()))))
    reseal(artifact)
