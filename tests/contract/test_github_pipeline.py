"""The workflow of GitHub Actions is GitLab's and Jenkins' pipeline, and the harness runs it job by job."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / ".github/workflows/pipeline.yml"
WORKFLOW = yaml.safe_load(FILE.read_text(encoding="utf-8"))
GITLAB = yaml.safe_load((ROOT / "ci/gitlab-ci.yml").read_text(encoding="utf-8"))
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]
(CELL,) = GITLAB[".target"]["parallel"]["matrix"]


def steps(name: str, action: str) -> list[dict[str, Any]]:
    return [step["with"] for step in JOBS[name]["steps"] if step.get("uses", "").startswith(f"actions/{action}@")]


def harness(
    *arguments: str | Path, file: Path = FILE, folder: Path = ROOT, **settings: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "ci/steps/github.py", "--workflow", file, *arguments]
    return subprocess.run(
        command, cwd=folder, env={"PATH": "/usr/bin:/bin", **settings}, capture_output=True, text=True, check=False
    )


def test_it_runs_gitlab_s_commands_in_the_same_order() -> None:
    own = {name: [step["run"] for step in job["steps"] if "run" in step] for name, job in JOBS.items()}
    gitlab = {name: job["script"] for name, job in GITLAB.items() if isinstance(job, dict) and "script" in job}
    assert list(own.items()) == list(gitlab.items())
    names = list(JOBS)
    assert [JOBS[name].get("needs") for name in names] == [None, *names[:-1]], "stages follow each other"


def test_settings_and_their_defaults_are_gitlab_s() -> None:
    theirs = {name: value for name, value in GITLAB["variables"].items() if isinstance(value, dict)}
    inputs = WORKFLOW[True]["workflow_dispatch"]["inputs"]
    assert {name: one["default"] for name, one in inputs.items()} == {
        name: one["value"] for name, one in theirs.items()
    }
    for name, one in inputs.items():
        assert WORKFLOW["env"][name] == f"${{{{ inputs.{name} || '{one['default']}' }}}}", "a push has no inputs"
    assert inputs["BASES"]["options"] == theirs["BASES"]["options"]
    assert JOBS["test"]["env"] == GITLAB["test"]["variables"]


def test_cells_are_gitlab_s() -> None:
    cells = {name: job["strategy"]["matrix"] for name, job in JOBS.items() if "strategy" in job}
    assert list(cells) == ["compile", "verify", "bake", "scan", "publish"]
    assert all(cell == CELL for cell in cells.values())
    assert all(JOBS[name]["env"]["TARGET"] == "${{ matrix.TARGET }}" for name in cells)
    assert not any(JOBS[name]["strategy"]["fail-fast"] for name in cells)


def test_people_stand_before_the_registry_and_the_deployment() -> None:
    assert JOBS["publish"]["environment"] == "registry"
    assert JOBS["publish"]["if"] == "github.event_name != 'pull_request'"
    assert JOBS["deploy"]["environment"] == "production"
    assert JOBS["deploy"]["if"] == "github.ref == 'refs/heads/main'"
    assert WORKFLOW["permissions"] == {"contents": "read"}


def test_results_go_from_job_to_job_as_in_gitlab() -> None:
    read = {name: [one["pattern"].split("-")[0] for one in steps(name, "download-artifact")] for name in JOBS}
    assert {name: found for name, found in read.items() if found} == {
        name: job["dependencies"] for name, job in GITLAB.items() if isinstance(job, dict) and "dependencies" in job
    }
    for name in ("compile", "bake", "scan", "publish"):
        (one,) = steps(name, "upload-artifact")
        assert [one["path"].replace("${{ matrix.TARGET }}", "$TARGET")] == GITLAB[name]["artifacts"]["paths"]
        assert one["name"] == f"{name}-${{{{ matrix.TARGET }}}}"
    for name in ("compile", "bake"):
        assert "build/ci/cache/${{ matrix.TARGET }}" in [one["path"] for one in steps(name, "cache")]
    assert all(steps(name, "checkout")[0]["fetch-depth"] == 0 for name in JOBS)


def test_no_expression_is_part_of_a_command() -> None:
    commands = [step["run"] for job in JOBS.values() for step in job["steps"] if "run" in step]
    assert commands
    assert not [command for command in commands if "${{" in command]


def test_github_s_own_schema_accepts_the_file() -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", FILE]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_actionlint_finds_nothing() -> None:
    program = shutil.which("actionlint", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if program is None:
        pytest.skip("no actionlint on the path: pip has none for this processor")
    check = [program, "-no-color"]
    done = subprocess.run([*check, str(FILE)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    wrong = FILE.read_text(encoding="utf-8").replace("matrix.TARGET", "matrix.NONE")
    done = subprocess.run([*check, "-"], input=wrong, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, "it looks for nothing"
    assert 'property "none" is not defined' in done.stdout


# ---- the harness


def test_the_harness_lists_every_command_of_every_cell() -> None:
    lines = harness("--list").stdout.splitlines()
    assert lines[:2] == ["lint: ci/steps/setup.sh test", "lint: ci/steps/lint.sh"]
    for name in ("compile", "verify", "bake", "scan", "publish"):
        expected = [f'{name} TARGET={target}: ci/steps/{name}.sh "$TARGET"' for target in CELL["TARGET"]]
        assert [line for line in lines if line.startswith(f"{name} ")] == expected


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder whose steps write and read what those of a pipeline do, in a moment."""
    folder = tmp_path / "ci/steps"
    folder.mkdir(parents=True)
    for name, text in {
        "setup": ":",
        "lint": ":",
        "test": ":",
        "with_words": '"${@:2}" ${!1}',
        "compile": 'mkdir -p "build/ci/artifacts/$1"; echo "$MODEL $1" >"build/ci/artifacts/$1/manifest.json"',
        "verify": 'cat "build/ci/artifacts/$1/manifest.json"',
        "bake": 'mkdir -p build/ci/images; cp "build/ci/artifacts/$1/manifest.json" "build/ci/images/$1.tar"',
        "scan": 'cat "build/ci/images/$1.tar"; echo sbom >"build/ci/images/$1.cdx.json"',
        "publish": 'test ! -e build/ci/artifacts; echo "$1@sha256" >"build/ci/images/$1.digest"',
        "deploy": 'cat "build/ci/images/$1.digest"; test ! -e "build/ci/images/$1.tar"',
    }.items():
        path = folder / f"{name}.sh"
        path.write_text(f"#!/usr/bin/env bash\nset -e\n{text}\n")
        path.chmod(0o755)
    return tmp_path


def test_jobs_run_on_what_others_hand_on(checkout: Path) -> None:
    approved = ("--approve", "registry", "--approve", "production")
    done = harness("--only", "TARGET=x86-64-v3", "--set", "MODEL=resnet18", *approved, folder=checkout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line for line in done.stdout.splitlines() if not line.startswith("==")] == [
        "resnet18 x86-64-v3", "resnet18 x86-64-v3", "x86-64-v3@sha256",
    ]  # fmt: skip
    order = [line.split()[2] for line in done.stdout.splitlines() if line.startswith("== job ")]
    assert order == list(JOBS)


def test_what_is_not_handed_on_is_not_there(checkout: Path, tmp_path: Path) -> None:
    file = tmp_path / "workflow.yml"
    file.write_text(FILE.read_text().replace("name: bake-${{ matrix.TARGET }}", "name: baked-${{ matrix.TARGET }}"))
    done = harness("--only", "TARGET=x86-64-v3", file=file, folder=checkout)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == 'error: StepFailed: ci/steps/scan.sh "$TARGET" ended with 1'


def test_gates_wait_and_other_branches_are_not_deployed(checkout: Path) -> None:
    chosen = ("--only", "TARGET=x86-64-v3")
    done = harness(*chosen, folder=checkout)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == (
        "== publish TARGET=x86-64-v3 waits for a person: environment registry (--approve registry)"
    )
    assert not list(checkout.rglob("*.digest"))
    done = harness(*chosen, "--approve", "registry", "--ref", "refs/heads/other", folder=checkout)
    assert done.stdout.splitlines()[-1] == "== deploy: left out, github.ref == 'refs/heads/main'"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("actions/cache@v5", "some/cache@v5", "the action some/cache is not known here"),
        ("inputs.MODEL || ", "secrets.MODEL || ", "the expression secrets.MODEL is not known here"),
        ("timeout-minutes: 30", "container: debian", "job lint has the key container, which is not known here"),
        ("needs: lint", "needs: verify", "jobs need each other: bake, compile, deploy, publish, scan, test, verify"),
        ('ci/steps/compile.sh "$TARGET"', "ci/steps/compile.sh ${{ matrix.TARGET }}", "an expression in a command"),
    ],
)
def test_what_it_does_not_know_is_refused(checkout: Path, tmp_path: Path, old: str, new: str, says: str) -> None:
    text = FILE.read_text()
    assert old in text
    file = tmp_path / "workflow.yml"
    file.write_text(text.replace(old, new, 1))
    done = harness("--only", "TARGET=x86-64-v3", file=file, folder=checkout)
    assert done.returncode == 1
    assert re.sub(r"\s+", " ", done.stderr).startswith("error: WorkflowInvalid: ")
    assert says in done.stderr


def test_names_that_there_are_not() -> None:
    assert "there is no input MODLE" in harness("--set", "MODLE=x", "--list").stderr
    assert "there is no job bakery, only lint, test" in harness("--from", "bakery", "--list").stderr
