"""Bases of Debian packages, artifacts and images, each made once a session. Needs root and what
ci/steps/containers.sh installs.

ci/steps/container_tests.sh
"""

import os
import shutil
from pathlib import Path

import pytest

from support.baking import MODEL, TARGETS, ovenbird, step
from support.real_data import photographs, real_resnet50, test_data

__all__ = ["photographs", "real_resnet50", "test_data"]

NEEDED = ("buildah", "mmdebstrap", "qemu-aarch64-static", "ip", "unshare")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything here, and skip it where the tools are not."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    why = f"no {', '.join(missing)} (ci/steps/containers.sh)" if missing else "" if os.getuid() == 0 else "not root"
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.container)
            if why:
                item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="session", autouse=True)
def isolation() -> None:
    """What ci/steps/buildah.sh sets, for the builder that the tests call."""
    variables = step("bash", "-c", ". ci/steps/buildah.sh; env")
    os.environ.update(
        line.split("=", 1) for line in variables.splitlines() if line.startswith(("BUILDAH_", "STORAGE_"))
    )


@pytest.fixture(scope="session")
def bases(isolation: None) -> dict[str, str]:
    """The names of the base images."""
    made = {arch: step("ci/steps/base_image.sh", arch).split()[-1] for arch in ("amd64", "arm64")}
    return made | {"tools": step("ci/steps/base_image.sh", "amd64", "tools").split()[-1]}


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network with real weights that travels in a package, for the targets that the images are for."""
    step("ci/steps/cross_toolchain.sh")
    output = tmp_path_factory.mktemp("compiled") / "net"
    targets = [word for target in TARGETS.values() for word in ("--target", target)]
    ovenbird("compile", MODEL, *targets, "--batch-sizes", "1", "--output", str(output), "--quiet")
    return output
