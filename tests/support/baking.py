"""What tests of images share: the network, its targets, and the commands that a person would type.

ovenbird("bake", "artifacts/net", "--target", TARGETS["amd64"])
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODEL = "efficientnet-lite0"
TARGETS = {"amd64": "x86-64-v2", "arm64": "aarch64-generic"}


def step(*command: str) -> str:
    """Run a command from the root of the checkout; give what it prints."""
    path = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout


def ovenbird(*arguments: str) -> str:
    """Run the compiler's command line."""
    return step(sys.executable, "-m", "ovenbird", *arguments)
