"""Faults are put into copies, tests judge them, and what was not caught is reported."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import mutate
import pytest

CODE = "def double(x):\n    return x * 2\n\n\ndef untested():\n    return 1\n"
TESTS = "from code_under_test import double\n\n\ndef test_double():\n    assert double(3) == 6\n"

ENVIRONMENT = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # they take longer to import than these tests


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository of one module, and a test that knows half of it."""
    root = tmp_path / "repository"
    (root / "runtime").mkdir(parents=True)
    (root / "tests").mkdir()
    (root / "runtime/code_under_test.py").write_text(CODE)
    (root / "tests/test_code.py").write_text(TESTS)
    (root / "pytest.ini").write_text("[pytest]\n")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    return root


def fault(name: str, old: str, new: str, tests: str = "tests/test_code.py") -> mutate.Fault:
    return mutate.Fault(name, "runtime/code_under_test.py", old, new, tuple(tests.split()))


def outcomes(root: Path, *faults: mutate.Fault) -> list[tuple[bool, str]]:
    return [(outcome.caught, outcome.by) for outcome in mutate.mutate(root, faults, ENVIRONMENT)]


def test_caught_survived_and_gone(repository: Path) -> None:
    found = outcomes(
        repository,
        fault("caught", "x * 2", "x * 3"),
        fault("survives", "return 1", "return 2"),
        fault("gone", "x * 20", "x"),
        fault("twice", "return", "yield"),
        fault("same size, same second", "x * 2", "x - 2"),
    )
    assert found[0] == (True, "tests/test_code.py::test_double")
    assert found[1] == (False, "every test passes")
    assert found[2] == (False, "no longer applies: its text is 0 times in runtime/code_under_test.py, not once")
    assert found[3] == (False, "no longer applies: its text is 2 times in runtime/code_under_test.py, not once")
    assert found[4][0]
    assert (repository / "runtime/code_under_test.py").read_text() == CODE


def test_a_run_goes_on_where_another_stopped(repository: Path, tmp_path: Path) -> None:
    """What was caught is not tried again; what was not, or is written anew, is."""
    kept, caught = tmp_path / "caught.jsonl", fault("caught", "x * 2", "x * 3")
    survives = fault("survives", "return 1", "return 2")
    first = mutate.mutate(repository, [caught, survives], ENVIRONMENT, 1, mutate.Results(kept))
    (repository / "tests/test_code.py").write_text("def test_nothing():\n    pass\n")
    again = mutate.mutate(repository, [caught, survives], ENVIRONMENT, 1, mutate.Results(kept))
    assert [one.caught for one in again] == [True, False]
    assert again[0] == first[0]
    assert mutate.Results(kept).find(fault("caught", "x * 2", "x * 4")) is None


def test_tests_that_find_nothing_catch_nothing(repository: Path) -> None:
    with pytest.raises(RuntimeError, match="exit code 4"):
        outcomes(repository, fault("no such test", "x * 2", "x", "tests/test_code.py::test_gone"))


def test_a_test_that_fails_anyway_is_reported(repository: Path) -> None:
    (repository / "tests/test_code.py").write_text(TESTS.replace("6", "7"))
    with pytest.raises(RuntimeError, match=r"without any fault, tests/test_code\.py::test_double"):
        outcomes(repository, fault("any", "x * 2", "x"))


def test_code_that_cannot_be_imported_is_no_fault_that_was_caught(repository: Path) -> None:
    (found,) = outcomes(repository, fault("syntax", "def double", "def def"))
    assert found[0] is False
    assert "cannot be run" in found[1]


def test_the_two_tvms_never_meet() -> None:
    tests = [
        "tests/unit/runtime/test_a.py::x",
        "tests/unit/runtime/serve/test_b.py",
        "tests/unit/compile/tuning/test_c.py",
    ]
    assert mutate.sound_groups([fault("any", "", "", " ".join(tests))]) == [tests[:2], tests[2:]]
    chosen = [tests[0], "-k", "one"]
    assert mutate.sound_groups([fault("a", "", "", tests[0]), fault("b", "", "", " ".join(chosen))]) == [
        tests[:1],
        chosen,
    ]


def test_the_table_lists_every_fault(repository: Path) -> None:
    report = mutate.table([mutate.Outcome(fault("one", "", ""), False, "every test passes")])
    assert report.splitlines()[-1] == "| one | runtime/code_under_test.py | **NOT CAUGHT** every test passes |"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[[fault]]\nname = "a"\nfile = "f"\nold = "x"\nnew = "y"\n', "needs name, file, old, new and tests"),
        ('[[fault]]\nname = "a"\nfile = "f"\nold = "x"\nnew = "y"\ntests = "t"\n' * 2, "two faults are named a"),
    ],
)
def test_tables_are_checked(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(ValueError, match=words):
        mutate.read_faults(tmp_path)


def test_stale_faults_are_listed(repository: Path) -> None:
    sound = fault("sound", "x * 2", "x * 3")
    gone = mutate.Fault("gone", "runtime/no.py", "a", "b", ("tests/test_code.py",))
    some = [
        sound,
        gone,
        fault("moved", "x * 9", "x"),
        fault("same", "x * 2", "x * 2"),
        fault("lost", "1", "2", "tests/no.py"),
    ]
    assert mutate.problems(repository, some) == [
        "gone: runtime/no.py is gone",
        "moved: its text is 0 times in runtime/code_under_test.py, not once",
        "same: it changes nothing in runtime/code_under_test.py",
        "lost: tests/no.py: gone",
    ]
