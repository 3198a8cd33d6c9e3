"""What kustomize makes of `ci/k8s`: rendered by kubectl, read as dictionaries.

deployment = find(render("overlays/amd64-cpu"), "Deployment")
container = deployment["spec"]["template"]["spec"]["containers"][0]
"""

from __future__ import annotations

import functools
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
K8S = ROOT / "ci" / "k8s"
OVERLAYS = sorted(path.parent.name for path in K8S.glob("overlays/*/kustomization.yaml"))

Object = dict[str, Any]


def kubectl() -> str:
    found = shutil.which("kubectl") or shutil.which("kubectl", path=str(ROOT / "build" / "ci"))
    if found is None:
        pytest.skip("no kubectl; run ci/steps/kubectl.sh")
    return found


def render_folder(folder: Path) -> list[Object]:
    """Render a kustomization anywhere; what it names must be reached by relative paths."""
    done = subprocess.run(
        [kubectl(), "kustomize", str(folder)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return list(yaml.safe_load_all(done.stdout))


@functools.cache
def render(name: str) -> list[Object]:
    """Render a folder of ci/k8s."""
    return render_folder(K8S / name)


def find(objects: list[Object], kind: str) -> Object:
    found = [one for one in objects if one["kind"] == kind]
    assert len(found) == 1, f"{len(found)} objects of kind {kind}"
    return found[0]


def server_of(objects: list[Object]) -> tuple[Object, Object]:
    """Return the pod's spec and its one container, of a Deployment or a ServingRuntime."""
    kinds = {one["kind"]: one for one in objects}
    pod = kinds["Deployment"]["spec"]["template"]["spec"] if "Deployment" in kinds else kinds["ServingRuntime"]["spec"]
    (container,) = pod["containers"]
    return pod, container


def options_of(container: Object) -> dict[str, str]:
    """Return `--name=value` arguments as {"--name": "value"}."""
    pairs = (argument.partition("=") for argument in container["args"] if argument.startswith("--"))
    return {name: value for name, _, value in pairs}
