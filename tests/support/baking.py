"""What tests of images share: the network, its targets, and the commands that a person would type.

ovenbird("bake", "artifacts/net", "--target", TARGETS["amd64"])
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from support.containers import RunningImage

ROOT = Path(__file__).resolve().parents[2]
MODEL = "efficientnet-lite0"
TARGETS = {"amd64": "x86-64-v2", "arm64": "aarch64-generic"}
PHOTOGRAPH = ROOT / "compile" / "ovenbird" / "data" / "chelsea.jpg"


def step(*command: str) -> str:
    """Run a command from the root of the checkout; return what it prints."""
    path = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout


def ovenbird(*arguments: str) -> str:
    """Run the compiler's command line."""
    return step(sys.executable, "-m", "ovenbird", *arguments)


def bake(artifact: Path, target: str, bases: dict[str, str], *options: str) -> dict[str, Any]:
    """Bake an artifact's image on bases of Debian packages; return the report."""
    base = bases["arm64" if target.startswith("aarch64") else "amd64"]
    arguments = ["bake", str(artifact), "--target", target, "--builder", "buildah", "--json", "--quiet"]
    arguments += ["--build-arg", f"BASE={base}", "--build-arg", f"TOOLS_BASE={bases['tools']}"]
    report: dict[str, Any] = json.loads(ovenbird(*arguments, *options))
    return report


def expected_classes(artifact: Path) -> list[str]:
    """Return what the runtime says on this machine, without a container, where it can run the artifact."""
    answered = ovenbird("run", str(artifact), str(PHOTOGRAPH), "--top", "3", "--json")
    return [one["label"] for one in json.loads(answered)[0]["classes"]["logits"]]


def predicted_classes(running: RunningImage) -> list[str]:
    """Return what a running image says, over the network."""
    photograph = PHOTOGRAPH.read_bytes()
    status, answer = running.request("POST", "/v1/models/efficientnet_lite0:predict?top=3", photograph, "image/jpeg")
    assert status == 200, answer
    return [one["label"] for one in answer["predictions"][0]["classes"]["logits"]]
