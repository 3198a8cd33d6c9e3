"""`make test` runs every folder of tests that needs no special hardware, and says what it leaves out and why."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VENV = Path(sys.executable).parents[1]
FAILS = "def test_it():\n    assert not 'what is left out'\n"
PASSES = "def test_it():\n    pass\n"


def run_suite(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["ci/steps/test.sh", *arguments]
    environment = os.environ | {"VENV": str(VENV)}
    environment.pop("PYTEST_ADDOPTS", None)
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=120, check=False)


def groups() -> dict[str, list[str]]:
    """The files of each group, by its name."""
    lines = run_suite(ROOT, "--list").stdout.splitlines()
    told = [line.removeprefix("run ").partition(": ") for line in lines if line.startswith("run ")]
    return {name: files.split() for name, _, files in told}


def left_out() -> dict[str, tuple[str, str]]:
    """Why each thing is left out, and the command that runs it."""
    lines = run_suite(ROOT, "--list").stdout.splitlines()
    told = [line.removeprefix("left out: ").split(": ") for line in lines if line.startswith("left out: ")]
    return {what: (why, command) for what, why, command in told}


def test_every_file_of_tests_is_run_or_told() -> None:
    run = [file for files in groups().values() for file in files]
    assert len(run) == len(set(run))
    left = {
        str(path.relative_to(ROOT)): next((what for what in left_out() if path.is_relative_to(ROOT / what)), None)
        for path in (ROOT / "tests").rglob("test_*.py")
        if str(path.relative_to(ROOT)) not in run
    }
    assert None not in left.values(), f"run by no command: {left}"
    assert set(left.values()) == {what for what in left_out() if what.startswith("tests/")}


def test_what_is_left_out_has_a_command_that_is_there() -> None:
    for what, (_, command) in left_out().items():
        if command.startswith("make test TESTS="):
            (folder,) = re.findall(r"tests/\w+", command)
            assert any((ROOT / folder).glob("test_*.py")), f"{what}: `{command}` finds no test"
            assert "-m " in command
        else:
            assert os.access(ROOT / command.split()[0], os.X_OK), f"{what}: no {command}"


def test_the_two_tvms_never_meet() -> None:
    for files in groups().values():
        kinds = {match[1] for file in files if (match := re.match(r"tests/unit/(runtime|compile)/", file))}
        assert len(kinds) <= 1


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository of the steps alone, whose tests are written here."""
    (tmp_path / "ci/steps").mkdir(parents=True)
    for name in ("test.sh", "common.sh"):
        shutil.copy(ROOT / "ci/steps" / name, tmp_path / "ci/steps" / name)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\nmarkers = load: long\n")
    tests = {
        "unit/runtime/test_a.py": PASSES,
        "unit/runtime/serve/test_a.py": PASSES,
        "brand_new/deeper/test_a.py": PASSES,
        "load/test_a.py": PASSES + "import pytest\n@pytest.mark.load\n" + FAILS.replace("it", "long", 1),
        "gpu/test_a.py": FAILS,
        "container/test_a.py": FAILS,
    }
    for name, text in tests.items():
        (tmp_path / "tests" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tests" / name).write_text(text)
    return tmp_path


def test_a_new_folder_is_run_and_special_ones_are_not(tree: Path) -> None:
    done = run_suite(tree)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r"== tests: (\S+)", done.stdout) == ["unit/runtime", "load", "brand_new/deeper"]
    assert re.findall(r"^=* ?(\d+) passed", done.stdout, re.M) == ["2", "1", "1"]
    assert "left out: tests/gpu: " in done.stdout


@pytest.mark.parametrize("place", ["unit/runtime/test_a.py", "brand_new/deeper/test_a.py"])
def test_one_failing_group_fails_the_whole(tree: Path, place: str) -> None:
    (tree / "tests" / place).write_text(FAILS)
    done = run_suite(tree)
    assert done.returncode == 1
    assert f"TestsFailed: group(s) {Path(place).parent}" in done.stderr
    assert "== tests: brand_new/deeper" in done.stdout  # the groups after it are run all the same
