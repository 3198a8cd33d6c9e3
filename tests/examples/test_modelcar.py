"""The modelcar: its InferenceService is KServe's, and the runtime serves through another process's root, as nobody.

KServe links /mnt/models to /proc/PID/root/models of the container that has the model.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.kserve import check_kserve

from .conftest import EXAMPLES, PHOTO, ROOT

FOLDER = EXAMPLES / "kserve-modelcar"
NOBODY = 65532


@pytest.mark.parametrize("version", ["1.33", "1.35"])
def test_valid_by_kserves_schema(version: str) -> None:
    service = yaml.safe_load((FOLDER / "service.yaml").read_text())
    check_kserve(service, version)
    predictor = service["spec"]["predictor"]
    assert predictor["model"]["storageUri"].startswith("oci://")
    assert predictor["securityContext"]["runAsNonRoot"]
    runtime = yaml.safe_load((ROOT / "ci/k8s/kserve/runtime.yaml").read_text())
    (server,) = runtime["spec"]["containers"]
    # /proc/PID/root is open to a process of the same user only
    assert predictor["securityContext"]["runAsUser"] == server["securityContext"]["runAsUser"] == NOBODY
    assert f"USER {NOBODY}:{NOBODY}" in (FOLDER / "Containerfile").read_text()


@pytest.fixture
def car(artifact: Path) -> Iterator[Path]:
    """The link that KServe makes, into the root of a process that only sleeps, on files of nobody's own."""
    if os.geteuid():
        pytest.skip("only root may start processes of another user")
    folder = Path("/tmp") / f"ovenbird-modelcar-{os.getpid()}"  # above pytest's own folders nobody may look
    shutil.copytree(artifact, folder / "models")
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, NOBODY, NOBODY)
    sleeping = subprocess.Popen(["sleep", "600"], user=NOBODY, group=NOBODY, extra_groups=[])
    try:
        (folder / "mnt").symlink_to(f"/proc/{sleeping.pid}/root{folder}/models")
        yield folder / "mnt"
    finally:
        sleeping.kill()
        sleeping.wait()
        shutil.rmtree(folder)


# Imports first: nobody may not read every place that Python is installed in.
SCRIPT = """
import os, sys
import ovenbird_runtime
with ovenbird_runtime.load(sys.argv[2]) as model:
    model.predict(sys.argv[3])
photo = open(sys.argv[3], "rb").read()
os.setgroups([]); os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[1]))
try:
    with ovenbird_runtime.load(sys.argv[4]) as model:
        print(model.predict(photo)[0].top[0].index)
except ovenbird_runtime.OvenbirdError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def answer_as(user: int, artifact: Path, car: Path) -> subprocess.CompletedProcess[str]:
    """Load and ask what the link leads to, as a user."""
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, str(user), artifact, PHOTO, car],
        env=os.environ | {"PYTHONPATH": str(ROOT / "runtime")},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def test_the_runtime_answers_through_the_other_containers_root(car: Path, artifact: Path, expected: list[Any]) -> None:
    done = answer_as(NOBODY, artifact, car)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == expected[0][0]


def test_another_user_is_refused_in_one_line(car: Path, artifact: Path) -> None:
    done = answer_as(NOBODY + 1, artifact, car)
    assert done.returncode == 1
    assert done.stderr.startswith("Artifact")
    assert len(done.stderr.splitlines()) == 1
