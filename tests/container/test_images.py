"""An image is built, started on a read-only root as nobody, and asked over the network for a prediction."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.baking import TARGETS, bake, expected_classes, predicted_classes
from support.containers import RunningImage

MAX_OWN_BYTES = 150e6
READY_SECONDS = {"amd64": 60, "arm64": 600}  # emulated


@pytest.fixture(scope="module", params=list(TARGETS))
def arch(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def baked(arch: str, compiled: Path, bases: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    sbom = tmp_path_factory.mktemp("sbom") / "image.cdx.json"
    return bake(compiled, TARGETS[arch], bases, "--sbom", str(sbom), "--label", "stage=test") | {"sbom": sbom}


def test_answers_a_prediction(baked: dict[str, Any], arch: str, compiled: Path) -> None:
    with RunningImage.start(baked["image"]) as running:
        running.wait_ready(READY_SECONDS[arch])
        assert predicted_classes(running) == expected_classes(compiled)
        status = running.server_status()
        assert status["Uid"].split() == ["65532"] * 4
        assert int(status["CapEff"], 16) == 0
        assert running.terminate() == 0
        assert '"state":"stopped"' in running.text()


def test_root_is_read_only(baked: dict[str, Any], arch: str) -> None:
    """The harness keeps what it says: nothing in the image can be written, and nobody is root there."""
    if arch != "amd64":
        pytest.skip("the harness is the same for every processor")
    with RunningImage.start(baked["image"]) as running:
        running.wait_ready(READY_SECONDS[arch])
        mounts = Path(f"/proc/{running.process.pid}/root").resolve()
        assert mounts == Path("/")
        pid = subprocess.run(
            ["pgrep", "--parent", str(running.process.pid)], capture_output=True, text=True, check=True
        ).stdout.strip()
        table = Path(f"/proc/{pid}/mounts").read_text().splitlines()
        root = next(line.split() for line in table if line.split()[1] == "/")
        assert "ro" in root[3].split(",")


def test_health_check_says_what_the_route_says(baked: dict[str, Any], arch: str) -> None:
    """The image's own HEALTHCHECK, run beside the server in its network; without a server it fails."""
    inspected = json.loads(subprocess.run(
        ["buildah", "inspect", "--type", "image", baked["image"]], capture_output=True, text=True, check=True
    ).stdout)  # fmt: skip
    check = inspected["Docker"]["config"]["Healthcheck"]["Test"]
    assert check[:2] == ["CMD", "python3"]
    alone = subprocess.run([sys.executable, *check[2:]], capture_output=True, text=True, check=False)
    assert alone.returncode != 0
    with RunningImage.start(baked["image"]) as running:
        running.wait_ready(READY_SECONDS[arch])
        command = ["nsenter", "--net", "--target", str(running.process.pid), sys.executable, *check[2:]]
        assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_says_what_it_is(baked: dict[str, Any], arch: str, compiled: Path) -> None:
    labels = baked["labels"]
    assert labels["ovenbird.manifest.digest"] == baked["manifest_digest"]
    assert labels["ovenbird.target"] == TARGETS[arch]
    assert labels["org.opencontainers.image.title"] == "ovenbird-efficientnet_lite0"
    assert labels["stage"] == "test"
    names = {component["name"] for component in json.loads(baked["sbom"].read_text())["components"]}
    assert {
        "ovenbird-runtime",
        "apache-tvm-ffi",
        "numpy",
        "pillow",
        "httptools",
        "libc6",
        "efficientnet_lite0",
    } <= names
    assert not names & {"torch", "tvm", "ovenbird", "pip"}


def test_is_small(baked: dict[str, Any]) -> None:
    assert 0 < baked["own_bytes"] <= MAX_OWN_BYTES, f"{baked['own_bytes'] / 1e6:.1f} MB"


def test_holds_neither_secrets_nor_tools(baked: dict[str, Any], arch: str) -> None:
    with RunningImage.start(baked["image"], "--version") as running:
        assert running.process.wait(READY_SECONDS[arch]) == 0
        for absent in ("etc/pip.conf", "run/ca.crt", "src", "wheels", "root/.cache/pip"):
            assert not (running.root / absent).exists(), absent


def test_two_builds_are_alike(compiled: Path, bases: dict[str, str]) -> None:
    """One commit, one artifact: one image. Times come from the commit, byte code is checked by content."""
    first, second = (bake(compiled, TARGETS["amd64"], bases, "--tag", f"ovenbird/alike:{name}") for name in "ab")
    assert first["image_id"] == second["image_id"]


def test_a_base_that_is_nowhere(compiled: Path, bases: dict[str, str]) -> None:
    with pytest.raises(AssertionError, match=r"error: BaseUnavailable: .*--build-arg BASE="):
        bake(compiled, TARGETS["amd64"], bases | {"amd64": "localhost/no-such-base:1"})
