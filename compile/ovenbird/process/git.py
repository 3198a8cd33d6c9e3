"""Asks git about the checkout that the compiler runs from; whatever keeps git from answering is no answer.

ask_git(root, "rev-parse", "HEAD")      # "5f0c...", or None
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

LIMIT_S = 60.0


def ask_git(root: Path, *arguments: str) -> str | None:
    """Return what `git ARGUMENTS` prints in `root`, whatever GIT_DIR and its like say; None where it fails."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=clean, timeout=LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
