"""The steps behind make: what they say when a machine lacks something, and that every dependency is pinned."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
OURS = {"ovenbird", "ovenbird-runtime"}


def shell(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in the repository with the steps' common functions."""
    return subprocess.run(
        ["/bin/bash", "-c", f". ci/steps/common.sh; {script}"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_fitting_python_is_taken() -> None:
    result = shell("find_python", PYTHON=sys.executable)
    assert (result.returncode, result.stdout.strip()) == (0, sys.executable)


@pytest.mark.parametrize(
    ("script", "environment", "message"),
    [
        ("find_python", {"PYTHON": "/nowhere/python"}, "NoPython: PYTHON=/nowhere/python is not there, need 3.10"),
        ("find_python", {"PYTHON": "/bin/false"}, "NoPython: PYTHON=/bin/false is"),
        ("find_python", {"PATH": "/nowhere"}, "NoPython: found no Python 3.10 to 3.13 (python3 is not there)"),
        ("find_compiler", {"PATH": "/nowhere"}, "NoCompiler: found no C compiler (CC=unset, cc, gcc, clang)"),
        ("find_compiler", {"PATH": "/nowhere", "CC": "icc"}, "NoCompiler: found no C compiler (CC=icc"),
        ("ci/steps/setup.sh everything", {}, "UnknownPart: 'everything'; one of compiler, test, runtime, all"),
    ],
)
def test_what_is_missing_is_said_in_one_line(script: str, environment: dict[str, str], message: str) -> None:
    result = shell(script, **environment)
    assert result.returncode == 1
    assert result.stderr.startswith(f"error: {message}")
    assert result.stderr.count("\n") == 1


def test_demo_names_weights_that_are_not_there() -> None:
    command = [sys.executable, "ci/steps/demo.py", "--weights", "nowhere.pth"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 1
    assert "WeightsUnavailable: no file nowhere.pth" in result.stderr


def names(requirements: list[str]) -> set[str]:
    """The distributions' names in a list of requirements, normalised."""
    found = {re.split(r"[^A-Za-z0-9_.-]", requirement.strip(), maxsplit=1)[0] for requirement in requirements}
    return {re.sub(r"[-_.]+", "-", name).lower() for name in found} - OURS


@pytest.mark.parametrize("project", ["pyproject.toml", "runtime/pyproject.toml"])
def test_every_dependency_has_a_tested_version(project: str) -> None:
    table = tomllib.loads((ROOT / project).read_text(encoding="utf-8"))["project"]
    extras = table.get("optional-dependencies", {})
    wanted = names([*table["dependencies"], *(line for extra in extras.values() for line in extra)])
    lines = (ROOT / "ci" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = names([line for line in lines if "==" in line and not line.startswith("#")])
    # CUDA's libraries are left out of the constraints: torch pins its own.
    assert {name for name in wanted - pinned if not name.startswith("nvidia-")} == set(), "run ci/steps/lock.sh"


def test_both_distributions_pin_the_same_ffi() -> None:
    pins = set()
    for project in ("pyproject.toml", "runtime/pyproject.toml"):
        lines = tomllib.loads((ROOT / project).read_text(encoding="utf-8"))["project"]["dependencies"]
        pins |= {line for line in lines if line.startswith("apache-tvm-ffi")}
    assert len(pins) == 1
    assert "==" in pins.pop()
