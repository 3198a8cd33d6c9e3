"""The C++ runtime of another architecture, under user-mode emulation: the same pixels and answers, code of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import ovenbird_runtime
from native.conftest import Done, build
from native.test_conformance import FIELDS, SUITE, check_answers, check_pixels, with_lines
from ovenbird_runtime.tensors.tensors import npz_bytes, read_tensors
from support.emulation import emulate
from support.plan_runner import some_inputs

pytestmark = pytest.mark.slow
CPU = "cortex-a53"


def run(name: str, *arguments: str | Path) -> Done:
    done = emulate("aarch64", CPU, [build("--cross", "aarch64") / name, *arguments], {})
    return Done(done.returncode, done.stdout, done.stderr)


def test_the_units_hold() -> None:
    done = run("ovenbird-tests")
    assert done.code == 0, done.out


@pytest.mark.parametrize("folder", FIELDS)
def test_pixels_are_those_of_the_suite(folder: str) -> None:
    check_pixels(with_lines(SUITE / folder, run("ovenbird-pictures", SUITE / folder / "cases.json")), FIELDS[folder])


def test_answers_are_those_of_the_suite() -> None:
    check_answers(with_lines(SUITE / "answers", run("ovenbird-answers", SUITE / "answers" / "cases.json")))


def test_an_artifact_for_it_gives_this_machine_s_outputs(
    compiled: Callable[..., Path], detector: Path, tmp_path: Path
) -> None:
    artifact = compiled("networks:detector", "--batch-sizes", "1,4", "--target", "aarch64-generic")
    with ovenbird_runtime.load(detector, threads=1) as model:
        arrays = some_inputs(model.inputs, 5, seed=1)
        inputs = {spec.name: array for spec, array in zip(model.inputs, arrays, strict=True)}
        expected = model.run(inputs)
    (tmp_path / "in.npz").write_bytes(npz_bytes(inputs))
    for threads in ("1", "2"):
        files = ["-i", tmp_path / "in.npz", "-o", tmp_path / "out.npz"]
        done = run("ovenbird-run", "run", artifact, *files, "--threads", threads)
        assert done.code == 0, done.err
        for name, array in read_tensors(tmp_path / "out.npz").items():
            np.testing.assert_allclose(array, expected[name], atol=1e-5)


def test_code_for_this_machine_is_refused(detector: Path) -> None:
    done = run("ovenbird-run", "selftest", detector)
    assert done.code == 1
    assert done.err.startswith("error: WrongArchitecture: host is code for x86_64, this machine is aarch64")


def test_the_executable_is_small_and_needs_no_library() -> None:
    command = build("--cross", "aarch64") / "ovenbird-run"
    assert command.stat().st_size <= 1_600_000
    assert "NEEDED" not in subprocess.run(["readelf", "-d", command], capture_output=True, text=True, check=True).stdout
