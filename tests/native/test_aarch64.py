"""The C++ runtime of another architecture, under user-mode emulation: the same pixels and answers, code of its own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from native.conftest import Done, build
from native.test_conformance import FIELDS, SUITE, check_answers, check_pixels, with_lines
from support.emulation import emulate

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


def test_code_for_this_machine_is_refused(detector: Path) -> None:
    done = run("ovenbird-run", "selftest", detector)
    assert done.code == 1
    assert done.err.startswith("error: WrongArchitecture: host is code for x86_64, this machine is aarch64")


def test_the_executable_is_small_and_needs_no_library() -> None:
    command = build("--cross", "aarch64") / "ovenbird-run"
    assert command.stat().st_size <= 1_500_000
    assert "NEEDED" not in subprocess.run(["readelf", "-d", command], capture_output=True, text=True, check=True).stdout
