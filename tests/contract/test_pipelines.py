"""GitLab's and Jenkins' pipelines are one pipeline: the same steps in the same order, of scripts that exist."""

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
GITLAB = yaml.safe_load((ROOT / "ci" / "gitlab-ci.yml").read_text(encoding="utf-8"))
JENKINS = re.sub(r"^\s*//.*$", "", (ROOT / "ci" / "Jenkinsfile").read_text(encoding="utf-8"), flags=re.M)
KEYED = ("artifact", "image")


def gitlab_jobs() -> dict[str, dict[str, Any]]:
    return {name: job for name, job in GITLAB.items() if isinstance(job, dict) and "script" in job}


def gitlab_commands() -> dict[str, list[str]]:
    return {name: job["script"] for name, job in gitlab_jobs().items()}


def jenkins_commands() -> dict[str, list[str]]:
    stages = re.split(r"stage\('", JENKINS)[1:]
    found = {text.split("'")[0]: re.findall(r"\bsh '([^']+)'", text) for text in stages}
    return {name: commands for name, commands in found.items() if commands}


def test_both_run_the_same_commands_in_the_same_order() -> None:
    assert list(gitlab_commands()) == GITLAB["stages"]
    assert list(jenkins_commands().items()) == list(gitlab_commands().items())


def test_steps_are_scripts_that_can_run() -> None:
    commands = [command for script in gitlab_commands().values() for command in script]
    assert {command.split()[0] for command in commands} >= {f"ci/steps/{name}.sh" for name in GITLAB["stages"]}
    for command in commands:
        program = ROOT / command.split()[0]
        assert program.is_relative_to(ROOT / "ci" / "steps")
        assert os.access(program, os.X_OK), f"{program} cannot be run"


def test_both_have_the_same_settings() -> None:
    declared = {name for name, value in GITLAB["variables"].items() if isinstance(value, dict)}
    assert set(re.findall(r"name: '([A-Z_]+)'", JENKINS)) == declared
    defaults = dict(re.findall(r"name: '([A-Z_]+)', defaultValue: '([^']*)'", JENKINS))
    assert defaults == {name: GITLAB["variables"][name]["value"] for name in defaults}


def test_both_have_the_same_targets() -> None:
    (cell,) = GITLAB[".target"]["parallel"]["matrix"]
    values = re.search(r"name 'TARGET'\s+values ((?:'[^']+',?\s*)+)", JENKINS)
    assert values
    assert re.findall(r"'([^']+)'", values[1]) == cell["TARGET"]
    there = {folder.parent.name for folder in (ROOT / "targets").glob("*/target.toml")}
    # `host` is another processor on every agent: what is compiled for it is nothing to publish
    assert set(cell["TARGET"]) == there - {"host"}


def test_a_person_stands_before_the_deployment() -> None:
    (rule,) = GITLAB["deploy"]["rules"]
    assert rule["when"] == "manual"
    assert rule["allow_failure"] is False
    deploy = JENKINS[JENKINS.index("stage('deploy')") :]
    assert deploy.index("input {") < deploy.index("sh 'ci/steps/deploy.sh")
    assert "beforeInput true" in deploy


def test_results_go_from_job_to_job() -> None:
    """What a job writes for the next is among its artifacts, and what is kept between pipelines is in a cache."""
    for name, path in (("compile", "build/ci/artifacts/$TARGET"), ("bake", "build/ci/images/$TARGET.*")):
        assert path in GITLAB[name]["artifacts"]["paths"]
    paths = [path for cache in GITLAB[".target"]["cache"] for path in cache["paths"]]
    assert "build/ci/cache/$TARGET" in paths


def test_gitlabs_own_schema_accepts_the_file() -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.gitlab-ci", "ci/gitlab-ci.yml"]
    done = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# ---- a change of the compiler makes a new artifact and image, a change of a page does not


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of what keys are made of, which a test may change."""
    for folder in ("compile", "runtime", "targets", "tuning_logs", "ci", "docs"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "lib"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def keys(root: Path, target: str = "host", **settings: str) -> dict[str, str]:
    environment = {"PATH": os.environ["PATH"], **settings}
    done = subprocess.run(
        ["ci/steps/key.sh", target], cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = dict(line.split() for line in done.stdout.splitlines())
    assert all(len(found[name]) == 64 for name in KEYED)
    return found


@pytest.mark.parametrize(
    ("path", "changed"),
    [
        ("compile/ovenbird/building.py", {"artifact", "image"}),
        ("runtime/ovenbird_runtime/engine.py", {"artifact", "image"}),
        ("targets/host/target.toml", {"artifact", "image"}),
        ("ci/constraints.txt", {"artifact", "image"}),
        ("tuning_logs/host/resnet50/provenance.json", {"artifact", "image"}),
        ("targets/host/Containerfile", {"image"}),
        ("docs/tutorial.md", set()),
        ("ci/load/compare.py", set()),
        ("compile/ovenbird/__pycache__/building.cpython-311.pyc", set()),
        ("runtime/ovenbird_runtime/lib/libtvm_runtime.so", set()),
    ],
)
def test_what_a_change_leads_to(copy: Path, path: str, changed: set[str]) -> None:
    before = keys(copy)
    file = copy / path
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as opened:
        opened.write("\n# changed\n")
    after = keys(copy)
    assert {name for name in KEYED if before[name] != after[name]} == changed


def test_settings_are_part_of_the_key(copy: Path) -> None:
    first = keys(copy)
    assert keys(copy, MODEL="resnet18")["artifact"] != first["artifact"]
    assert keys(copy, BATCH_SIZES="1,8")["artifact"] != first["artifact"]
    other_base = keys(copy, BASE="localhost/other:1")
    assert other_base["artifact"] == first["artifact"]
    assert other_base["image"] != first["image"]
    weights = copy / "w.pth"
    weights.write_bytes(b"1")
    one = keys(copy, WEIGHTS=str(weights))["artifact"]
    weights.write_bytes(b"2")
    assert keys(copy, WEIGHTS=str(weights))["artifact"] != one


def test_keys_do_not_depend_on_the_place(copy: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "clone"
    shutil.copytree(copy, elsewhere)
    assert keys(elsewhere) == keys(copy)


@pytest.mark.parametrize("step", ["key", "compile", "verify", "bake", "scan", "publish", "deploy"])
def test_an_unknown_target_is_one_line(step: str) -> None:
    done = subprocess.run([f"ci/steps/{step}.sh", "no-such"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: UnknownTarget: 'no-such' is no folder of targets/")
