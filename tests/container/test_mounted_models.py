"""The model beside the runtime: as a folder, and as Kubernetes mounts an image, where no file may be executed."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.baking import TARGETS, bake, expected_classes, predicted_classes
from support.containers import RunningImage

READY_SECONDS = 60
USER = 65532


@pytest.fixture(scope="module")
def report(compiled: Path, bases: dict[str, str]) -> dict[str, Any]:
    return bake(compiled, TARGETS["amd64"], bases, "--mount", "--tag", "ovenbird/mounted:test")


@pytest.fixture(scope="module")
def model_image(report: dict[str, Any]) -> Iterator[Path]:
    """The root of the model's image."""
    container = buildah("from", "--pull-never", report["model_image"])
    yield Path(buildah("mount", container))
    buildah("rm", container)


def buildah(*arguments: str) -> str:
    return subprocess.run(["buildah", *arguments], capture_output=True, text=True, check=True).stdout.strip()


def test_runtime_and_model_are_two_images(report: dict[str, Any], model_image: Path) -> None:
    assert report["model_image"] == "ovenbird/mounted:test-model"
    assert os.listdir(model_image) == ["artifact"]  # noqa: PTH208 - everything in the image, hidden or not
    with RunningImage.start(report["image"]) as running:
        assert running.process.wait(READY_SECONDS) == 1  # no artifact: an error of one line
        assert "ArtifactNotFound" in running.text()


def test_a_folder_is_mounted(report: dict[str, Any], model_image: Path, compiled: Path) -> None:
    with RunningImage.start(report["image"], volumes={model_image / "artifact": "/artifact"}) as running:
        running.wait_ready(READY_SECONDS)
        assert predicted_classes(running) == expected_classes(compiled)


def test_an_image_volume_is_mounted(report: dict[str, Any], model_image: Path, compiled: Path) -> None:
    """Code and weights are copied into memory: the volume is mounted noexec, and root's."""
    serve = ["serve", "/model/artifact", "--host", "0.0.0.0"]
    with RunningImage.start(report["image"], *serve, volumes={model_image: "/model:ro,noexec"}) as running:
        running.wait_ready(READY_SECONDS)
        assert predicted_classes(running) == expected_classes(compiled)


def test_an_image_volume_is_copied(report: dict[str, Any], model_image: Path, compiled: Path, tmp_path: Path) -> None:
    """What ci/k8s/components/model-image does: the runtime's image copies, as nobody, on a read-only root."""
    folder = tmp_path / "artifact"
    folder.mkdir()
    os.chown(folder, 0, USER)  # as the kubelet makes an emptyDir for fsGroup
    folder.chmod(0o2777)
    copy = ["copy", "/model/artifact", "/artifact"]
    volumes = {model_image: "/model:ro,noexec", folder: "/artifact:rw"}
    for _ in range(2):  # a pod that is started again finds the first copy
        with RunningImage.start(report["image"], *copy, volumes=volumes) as running:
            assert running.process.wait(READY_SECONDS) == 0, running.text()
            assert "efficientnet_lite0: " in running.text()
    assert {path.stat().st_uid for path in folder.rglob("*")} == {USER}
    with RunningImage.start(report["image"], volumes={folder: "/artifact"}) as running:
        running.wait_ready(READY_SECONDS)
        assert predicted_classes(running) == expected_classes(compiled)
