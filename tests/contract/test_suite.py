"""`make test` runs every folder of tests that needs no special hardware, and says what it leaves out and why."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VENV = Path(sys.executable).parents[1]
FAILS = "def test_it():\n    assert not 'what is left out'\n"
PASSES = "def test_it():\n    pass\n"


def run_suite(root: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    command = ["ci/steps/test.sh", *arguments]
    environment = os.environ | {"VENV": str(VENV), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"} | settings
    for name in {"PYTEST_ADDOPTS", "SLOW", "JOBS"} - settings.keys():  # those of the run that this is part of
        environment.pop(name, None)
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=120, check=False)


@functools.cache
def groups() -> dict[str, list[str]]:
    """The files of each group, by its name."""
    lines = run_suite(ROOT, "--list").stdout.splitlines()
    parts = [line.removeprefix("run ").partition(": ") for line in lines if line.startswith("run ")]
    return {name: files.split() for name, _, files in parts}


@functools.cache
def left_out() -> dict[str, tuple[str, str]]:
    """Why each thing is left out, and the command that runs it."""
    lines = run_suite(ROOT, "--list").stdout.splitlines()
    parts = [line.removeprefix("left out: ").split(": ") for line in lines if line.startswith("left out: ")]
    return {what: (why, command) for what, why, command in parts}


def test_every_file_of_tests_is_run_or_listed_as_left_out() -> None:
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
        if command == "make test SLOW=1":
            assert "make test SLOW=1" in (ROOT / "Makefile").read_text()
            assert f"left out: {what}: " not in run_suite(ROOT, "--list", SLOW="1").stdout
        elif command.startswith("make test TESTS="):
            (folder,) = re.findall(r"tests/[\w/]+", command)
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
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\naddopts = --import-mode=importlib\nmarkers =\n load\n slow\n alone\n"
    )
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


def started(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The groups in the order of their reports."""
    return re.findall(r"== tests: (\S+)", done.stdout)


def passed(done: subprocess.CompletedProcess[str]) -> list[str]:
    """How many tests passed, by report."""
    return re.findall(r"^=* ?(\d+) passed", done.stdout, re.M)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_new_folder_is_run_and_special_ones_are_not(tree: Path, jobs: str) -> None:
    done = run_suite(tree, JOBS=jobs)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = dict(zip(started(done), passed(done), strict=True))
    assert counts == {"unit/runtime": "2", "load": "1", "brand_new/deeper": "1"}
    assert "left out: tests/gpu: " in done.stdout


@pytest.mark.parametrize(
    ("place", "text", "jobs"),
    [("unit/runtime/test_a.py", FAILS, "1"), ("brand_new/deeper/test_a.py", "import nowhere\n", "2")],
)
def test_one_failing_group_fails_the_whole(tree: Path, place: str, text: str, jobs: str) -> None:
    (tree / "tests" / place).write_text(text)
    done = run_suite(tree, JOBS=jobs)
    assert done.returncode == 1
    assert f"TestsFailed: group(s) {Path(place).parent};" in done.stderr
    # the groups after it are run all the same
    assert set(started(done)) == {"unit/runtime", "load", "brand_new/deeper"}


def test_slow_tests_are_run_where_they_are_asked_for(tree: Path) -> None:
    (tree / "tests/load/test_b.py").write_text("import pytest\n@pytest.mark.slow\n" + FAILS)
    for test in (tree / "tests/unit").rglob("test_*.py"):
        test.unlink()
    quick, whole = run_suite(tree), run_suite(tree, SLOW="1")
    assert (quick.returncode, whole.returncode) == (0, 1)
    assert "left out: tests marked slow: " in quick.stdout
    assert "left out: tests marked slow: " not in whole.stdout


def test_a_group_of_slow_tests_alone_is_no_failure(tree: Path) -> None:
    (tree / "tests/brand_new/deeper/test_a.py").write_text("import pytest\n@pytest.mark.slow\n" + PASSES)
    for options in ({}, {"SLOW": "1"}):
        done = run_suite(tree, **options)
        assert done.returncode == 0, done.stdout + done.stderr
    (tree / "tests/brand_new/deeper/test_a.py").write_text("")
    assert "TestsFailed: group(s) brand_new/deeper;" in run_suite(tree).stderr, "no test is there, and no mark says why"


def test_what_measures_runs_when_all_others_are_done(tree: Path) -> None:
    alone = "import pytest\npytestmark = pytest.mark.alone\n"
    (tree / "tests/unit/runtime/test_b.py").write_text(alone + PASSES)
    (tree / "tests/load/test_a.py").write_text(alone + FAILS)  # nothing else is left in its group
    done = run_suite(tree)
    assert sorted(started(done)[:3]) == ["brand_new/deeper", "load", "unit/runtime"]
    assert sorted(started(done)[3:]) == ["load", "unit/runtime"]
    assert "TestsFailed: group(s) load;" in done.stderr


def test_two_groups_run_at_once_and_no_more(tree: Path) -> None:
    """Each waits for the other: one at a time, neither would end well."""
    meet = """
import pathlib, time
def test_it():
    here = pathlib.Path({here!r})
    (here / {own!r}).touch()
    end = time.monotonic() + 20
    while not (here / {other!r}).exists():
        assert time.monotonic() < end
        time.sleep(0.02)
"""
    for place, own, other in (("load", "a", "b"), ("brand_new/deeper", "b", "a")):
        (tree / "tests" / place / "test_a.py").write_text(meet.format(here=str(tree), own=own, other=other))
    for test in (tree / "tests/unit").rglob("test_*.py"):
        test.unlink()
    assert run_suite(tree, JOBS="2").returncode == 0


def test_groups_keep_their_files_in_folders_of_their_own(tree: Path) -> None:
    """Two that share pytest's folder sweep each other's old ones: one then fails on a file that is already gone."""
    write = "def test_it(tmp_path):\n    open({file!r}, 'a').write(str(tmp_path.parent) + chr(10))\n"
    folders = tree / "folders"
    for test in (tree / "tests").rglob("test_*.py"):
        test.write_text(write.format(file=str(folders)))
    assert run_suite(tree, JOBS="2").returncode == 0
    used = folders.read_text().split()
    assert len(set(used)) == 3  # the two files of unit/runtime are one group
    assert not any(Path(folder).exists() for folder in used)


def test_a_signal_ends_the_tests_too(tree: Path) -> None:
    pids = tree / "pids"
    sleeping = f"""
import os, pathlib, time
def test_it():
    pathlib.Path({str(pids)!r}).write_text(str(os.getpid()))
    time.sleep(600)
"""
    (tree / "tests/load/test_a.py").write_text(sleeping)
    environment = os.environ | {"VENV": str(VENV), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "JOBS": "2"}
    with subprocess.Popen(["ci/steps/test.sh"], cwd=tree, env=environment, stdout=subprocess.DEVNULL) as suite:
        end = time.monotonic() + 60
        while not (pids.is_file() and pids.read_text()):
            assert time.monotonic() < end
            time.sleep(0.05)
        suite.terminate()
        assert suite.wait(60) == 1
    while Path("/proc", pids.read_text()).exists():
        assert time.monotonic() < end
        time.sleep(0.05)
