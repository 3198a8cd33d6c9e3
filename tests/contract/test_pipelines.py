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

from support.kubernetes import kubectl

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
    programs = {word for command in commands for word in command.split() if word.startswith("ci/")}
    assert programs >= {f"ci/steps/{name}.sh" for name in GITLAB["stages"]}
    assert all(command.split()[0] in programs for command in commands)
    for name in programs:
        program = ROOT / name
        assert program.is_relative_to(ROOT / "ci" / "steps")
        assert os.access(program, os.X_OK), f"{program} cannot be run"


def test_what_a_person_sets_is_quoted() -> None:
    """A setting in a command is one word, whatever it holds; several go through with_words.sh."""
    commands = [command for script in gitlab_commands().values() for command in script]
    assert '"$TARGET"' in " ".join(commands)
    assert not [command for command in commands if "$" in re.sub(r'"\$[A-Z_]+"', "", command)]


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("", []),
        ("  ", []),
        ("tests/unit tests/e2e", ["tests/unit", "tests/e2e"]),
        ('tests/unit -k "not slow"', ["tests/unit", "-k", "not slow"]),
        ("* ? [a-z]*", ["*", "?", "[a-z]*"]),
        ("$(touch ran) `touch ran` ; touch ran", ["$(touch", "ran)", "`touch", "ran`", ";", "touch", "ran"]),
        ("--version -n %s", ["--version", "-n", "%s"]),
        ("two\nlines", ["two", "lines"]),
    ],
)
def test_words_of_a_setting_are_not_expanded(tmp_path: Path, setting: str, words: list[str]) -> None:
    (tmp_path / "file").touch()
    command = [ROOT / "ci/steps/with_words.sh", "WORDS", "printf", "%s\\n", "begin"]
    environment = {"PATH": os.environ["PATH"], "WORDS": setting}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["begin", *words]
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_quote_that_does_not_end_is_one_line() -> None:
    command = [ROOT / "ci/steps/with_words.sh", "TESTS", "echo"]
    environment = {"PATH": os.environ["PATH"], "TESTS": 'tests/unit -k "not'}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: WrongSetting: TESTS='tests/unit -k \"not' has a quote that does not end\n"


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
    assert deploy.index("input {") < deploy.index("ci/steps/deploy.sh")
    assert "beforeInput true" in deploy


def test_results_go_from_job_to_job() -> None:
    """What a job writes for the next is among its artifacts, and what is kept between pipelines is in a cache."""
    read = {name: job["dependencies"] for name, job in gitlab_jobs().items() if "dependencies" in job}
    assert read == {
        "verify": ["compile"], "bake": ["compile"], "scan": ["bake"], "publish": ["bake"], "deploy": ["publish"],
    }  # fmt: skip
    assert all("artifacts" in GITLAB[name] for names in read.values() for name in names)
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
        ("compile/ovenbird/backends/building.py", {"artifact", "image"}),
        ("runtime/ovenbird_runtime/engine/engine.py", {"artifact", "image"}),
        ("targets/host/target.toml", {"artifact", "image"}),
        ("ci/constraints.txt", {"artifact", "image"}),
        ("tuning_logs/host/resnet50/provenance.json", {"artifact", "image"}),
        ("compile/ovenbird/baking/Containerfile.template", {"artifact", "image"}),
        ("ci/steps/bake.sh", {"image"}),
        ("docs/tutorial.md", set()),
        ("ci/load/compare.py", set()),
        ("compile/ovenbird/backends/__pycache__/building.cpython-311.pyc", set()),
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


# ---- targets: those of the matrix that are asked for, and their deployments

CELLS = ["compile", "verify", "bake", "scan", "publish"]


def run_step(root: Path, step: str, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [f"ci/steps/{step}.sh", *arguments], cwd=root, env={"PATH": os.environ["PATH"], **settings},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("step", CELLS)
def test_a_cell_may_be_left_out(copy: Path, step: str) -> None:
    done = run_step(copy, step, "cuda-sm90", TARGETS="x86-64-v3 aarch64-generic")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "== cuda-sm90: left out, TARGETS is x86-64-v3 aarch64-generic\n"
    assert not (copy / "build").exists()
    assert not (copy / ".venv").exists()


@pytest.mark.parametrize("step", CELLS)
def test_a_wrong_name_in_targets_is_no_empty_pipeline(copy: Path, step: str) -> None:
    done = run_step(copy, step, "cuda-sm90", TARGETS="x86-64-v3 x86-64-v33")
    assert done.returncode == 1
    assert done.stderr.startswith("error: UnknownTarget: 'x86-64-v33' is no folder of targets/")


@pytest.mark.parametrize("targets", ["*", "host ../targets/host", "host;id", "$(id)", "-n"])
def test_targets_are_words_not_patterns(copy: Path, targets: str) -> None:
    done = run_step(copy, "compile", "host", TARGETS=targets)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: UnknownTarget: '{targets.split()[-1]}' is no folder of targets/")


@pytest.mark.parametrize("namespace", ["a b", "a\nname: evil", "A", "-a", "$(id)"])
def test_a_namespace_is_one_name(copy: Path, namespace: str) -> None:
    done = run_step(copy, "deploy", "host", NAMESPACE=namespace)
    assert done.returncode == 1
    assert done.stderr.startswith("error: WrongNamespace: NAMESPACE='")


@pytest.mark.parametrize("step", ["scan", "publish"])
def test_what_needs_no_compiler_installs_none(copy: Path, step: str) -> None:
    done = run_step(copy, step, "cuda-sm90", TARGETS="cuda-sm90")
    assert done.stderr.startswith("error: NoImage: build/ci/images/cuda-sm90.tar is not there")
    assert not (copy / ".venv").exists()


def test_every_target_can_be_deployed_beside_the_others(copy: Path) -> None:
    """What is applied for one model on all targets, and for another: overlays by kind, images by digest."""
    images = copy / "build/ci/images"
    images.mkdir(parents=True)
    (cell,) = GITLAB[".target"]["parallel"]["matrix"]
    for number, target in enumerate(cell["TARGET"]):
        (images / f"{target}.digest").write_text(f"r.example/ovenbird/net@sha256:{number:064}\n")
    path = f"{Path(kubectl()).parent}:{os.environ['PATH']}"
    found = []
    for model, namespace in (("nets/My_Net.onnx", "vision"), ("resnet50", "")):
        for number, target in enumerate(cell["TARGET"]):
            if target not in ("x86-64-v3", "aarch64-generic", "cuda-sm90"):
                continue  # one target of each overlay: those of one overlay take turns, by design
            done = run_step(copy, "deploy", target, DRY_RUN="1", MODEL=model, NAMESPACE=namespace, PATH=path)
            assert done.returncode == 0, done.stderr
            objects = list(yaml.safe_load_all(done.stdout))
            deployment = next(one for one in objects if one["kind"] == "Deployment")
            (container,) = deployment["spec"]["template"]["spec"]["containers"]
            assert container["image"] == f"r.example/ovenbird/net@sha256:{number:064}"
            assert ("nvidia.com/gpu" in container["resources"]["limits"]) is target.startswith("cuda")
            assert {one["metadata"].get("namespace", "") for one in objects} == {namespace}
            name = "nets-my-net-onnx" if namespace else "resnet50"
            overlay = {"x": "amd64-cpu", "a": "arm64-cpu", "c": "amd64-gpu"}[target[0]]
            assert deployment["metadata"]["name"] == f"{name}-ovenbird-{overlay}"
            assert deployment["spec"]["selector"]["matchLabels"]["app.kubernetes.io/instance"] == f"{name}-{overlay}"
            found += [(one["kind"], one["metadata"]["name"]) for one in objects]
    assert len(found) == len(set(found))


def test_several_targets_are_deployed_in_one_step(copy: Path) -> None:
    done = run_step(copy, "deploy", "x86-64-v3", "aarch64-generic")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "== x86-64-v3: not deployed: no image was published",
        "== aarch64-generic: not deployed: no image was published",
    ]


@pytest.mark.parametrize("step", ["key", "compile", "verify", "bake", "scan", "publish", "deploy"])
def test_an_unknown_target_is_one_line(step: str) -> None:
    done = subprocess.run([f"ci/steps/{step}.sh", "no-such"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: UnknownTarget: 'no-such' is no folder of targets/")
