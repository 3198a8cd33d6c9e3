"""The pipelines' steps: the Jenkinsfile run by the harness, publishing to a registry, deploying as far as kubectl."""

import json
import os
import re
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.baking import MODEL, ROOT, TARGETS, ovenbird

TARGET = TARGETS["amd64"]


def step(name: str, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a step of the pipeline on the results of this checkout."""
    command = [f"ci/steps/{name}.sh", *arguments]
    environment = os.environ | {"BASES": "debian", "MODEL": MODEL, "PYTHONPATH": "compile:runtime"} | settings
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def jenkins(*arguments: str, file: Path = ROOT / "ci" / "Jenkinsfile") -> subprocess.CompletedProcess[str]:
    return step("jenkins", *arguments, JENKINSFILE=str(file))


pytestmark = pytest.mark.skipif(
    not shutil.which("java") or not shutil.which("npm"), reason="no java or npm (ci/steps/pipeline_tools.sh)"
)


@pytest.fixture(scope="module")
def pipeline() -> str:
    """Run the Jenkinsfile from compile to scan; return what it printed."""
    done = jenkins("--from", "compile", "--to", "scan", "--only", f"TARGET={TARGET}", "--set", "BASES=debian")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_jenkins_stages_run(pipeline: str) -> None:
    order = [line.split()[2] for line in pipeline.splitlines() if line.startswith("== stage ")]
    assert order == ["compile", "verify", "bake", "scan"]
    report = json.loads((ROOT / f"build/ci/images/{TARGET}.json").read_text())
    assert report["own_bytes"] <= 150e6


def test_the_second_pipeline_makes_nothing(pipeline: str) -> None:
    """Nothing but a page changed since: artifact and image are those of before."""
    made = ROOT / f"build/ci/images/{TARGET}.tar"
    before = made.read_bytes()
    done = jenkins("--from", "compile", "--to", "bake", "--only", f"TARGET={TARGET}", "--set", "BASES=debian")
    assert f"{TARGET}: unchanged, artifact" in done.stdout, done.stdout + done.stderr
    assert f"{TARGET}: unchanged, image" in done.stdout
    assert made.read_bytes() == before


TARGET_STAGES = ["compile", "verify", "bake", "scan", "publish"]


def every_cell() -> list[str]:
    names = sorted(path.parent.name for path in (ROOT / "targets").glob("*/target.toml"))
    return sorted(f"{stage} {name}" for stage in TARGET_STAGES for name in names if name != "host")


def test_jenkins_has_a_cell_for_every_target() -> None:
    lines = jenkins("--list").stdout.splitlines()
    cells = [line.split() for line in lines if " TARGET=" in line]
    assert sorted(f"{words[0]} {words[1].removeprefix('TARGET=').rstrip(':')}" for words in cells) == every_cell()
    assert all(words[2:] == [f"ci/steps/{words[0]}.sh", '"$TARGET"'] for words in cells)


def test_gitlab_has_a_job_for_every_target() -> None:
    done = step("gitlab", "--list-json")
    assert done.returncode == 0, done.stderr
    jobs = json.loads(done.stdout[done.stdout.index("[") :])
    cells = [job["name"] for job in jobs if job["stage"] in TARGET_STAGES]
    assert sorted(re.sub(r"[:\[\]]", "", name) for name in cells) == every_cell()


def test_groovy_lints_the_file() -> None:
    assert step("pipeline_tools").returncode == 0
    lint = ["build/ci/node/node_modules/.bin/npm-groovy-lint", "--noserver", "--config", "recommended-jenkinsfile"]
    done = subprocess.run(
        [*lint, "--failon", "warning", "ci/Jenkinsfile"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("steps {", "stepz {", "stage 'lint' has no directive 'stepz'"),
        ("agent any", "agent every", "unknown word 'every'"),
        ("stage('lint') {", "stage('lint') ", "startup failed"),
        ("sh 'ci/steps/lint.sh'", "shell 'ci/steps/lint.sh'", "steps of 'lint' has no directive 'shell'"),
    ],
)
def test_a_wrong_jenkinsfile_is_refused(tmp_path: Path, old: str, new: str, says: str) -> None:
    file = tmp_path / "Jenkinsfile"
    file.write_text((ROOT / "ci/Jenkinsfile").read_text().replace(old, new, 1))
    done = jenkins("--list", file=file)
    assert done.returncode == 1
    assert "error: JenkinsfileInvalid" in done.stderr
    assert says in done.stderr


def test_the_gate_holds() -> None:
    done = jenkins("--from", "deploy")
    assert done.returncode == 0
    assert "waits for a person" in done.stdout
    assert "deploy.sh" not in done.stdout


def test_a_failed_step_ends_the_pipeline(tmp_path: Path) -> None:
    file = tmp_path / "Jenkinsfile"
    text, verify = (ROOT / "ci/Jenkinsfile").read_text(), "sh 'ci/steps/verify.sh \"$TARGET\"'"
    assert text.count(verify) == 1
    file.write_text(text.replace(verify, "sh 'exit 7'"))
    done = jenkins("--from", "verify", "--to", "bake", "--only", f"TARGET={TARGET}", file=file)
    assert done.returncode == 1
    assert "`exit 7` ended with 7" in done.stderr
    assert "stage bake" not in done.stdout


# ---- publish, deploy


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Debian's docker-registry on a free port."""
    folder = tmp_path_factory.mktemp("registry")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = folder / "config.yml"
    config.write_text(
        f"version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {folder}\nhttp:\n  addr: 127.0.0.1:{port}\n"
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", str(config)], stdout=log, stderr=log)
    try:
        for _ in range(100):
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"127.0.0.1:{port}/vision"
    finally:
        process.kill()
        process.wait()


def test_nothing_is_published_without_a_registry(pipeline: str) -> None:
    done = step("publish", TARGET)
    assert done.returncode == 0
    assert "not published: no REGISTRY is set" in done.stdout


def test_publish_and_deploy_by_digest(pipeline: str, registry: str, tmp_path: Path) -> None:
    published = ROOT / f"build/ci/images/{TARGET}.digest"
    done = step("publish", TARGET, REGISTRY=registry, INSECURE="1")
    try:
        assert done.returncode == 0, done.stderr
        name = published.read_text().strip()
        assert name.startswith(f"{registry}/ovenbird/{MODEL}@sha256:")
        inspected = subprocess.run(
            ["skopeo", "inspect", "--tls-verify=false", "--config", "--raw", f"docker://{name}"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        config = json.loads(inspected.stdout)["config"]
        assert config["Healthcheck"]["Test"][0] == "CMD", "the health check was lost on the way"
        assert config["Labels"]["ovenbird.target"] == TARGET
        check_deploy(name, tmp_path)
    finally:
        published.unlink(missing_ok=True)


def check_deploy(image: str, tmp_path: Path) -> None:
    """The step asks kubectl to apply an overlay with this image; kubectl here only copies what it is given."""
    overlay = min((ROOT / "ci" / "k8s" / "overlays").glob("*/kustomization.yaml")).parent
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(
        f'#!/bin/sh\necho "$@" >>{tmp_path}/calls\n[ "$1" != apply ] || cp "$3"/kustomization.yaml {tmp_path}\n'
    )
    kubectl.chmod(kubectl.stat().st_mode | stat.S_IXUSR)
    done = step("deploy", TARGET, OVERLAY=overlay.name, PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls[0].startswith("apply -k ")
    assert calls[1].startswith("rollout status")
    written = (tmp_path / "kustomization.yaml").read_text()
    assert f"newName: {image.split('@')[0]}" in written
    assert f"digest: {image.split('@')[1]}" in written


def test_nothing_is_deployed_that_was_not_published(pipeline: str) -> None:
    done = step("deploy", TARGET)
    assert done.returncode == 0
    assert "not deployed: no image was published" in done.stdout


def test_a_scan_finds_what_it_should(pipeline: str, tmp_path: Path) -> None:
    """An SBOM that misses a package, in front of the image that has it."""
    sbom = json.loads((ROOT / f"build/ci/images/{TARGET}.cdx.json").read_text())
    sbom["components"] = [one for one in sbom["components"] if one["name"] != "numpy"]
    (tmp_path / "sbom.json").write_text(json.dumps(sbom))
    python = Path(os.environ.get("VENV", ".venv")) / "bin" / "python"
    done = subprocess.run(
        [python, "ci/steps/scan_image.py", f"build/ci/images/{TARGET}.tar", "--sbom", tmp_path / "sbom.json"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "found: numpy is in the image and not in its SBOM" in done.stderr


def test_what_was_compiled_is_an_artifact(pipeline: str) -> None:
    assert TARGET in ovenbird("inspect", str(ROOT / f"build/ci/artifacts/{TARGET}"))
