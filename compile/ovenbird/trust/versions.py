"""The versions of what an artifact is made by and what it needs, and the commit of the compiler's checkout.

tool_versions("torch")        # {"ovenbird": "0.1.0", "apache-tvm": "0.27.0.post1", "torch": "2.13.0", ...}
find_commit()                 # Commit("5f0c...", modified=False), or None outside a checkout
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version

from ovenbird import __version__
from ovenbird.resources import PACKAGE
from ovenbird_runtime.versions import TVM_FFI_VERSION, TVM_VERSION

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_FRAMEWORKS = ("torch", "torchvision", "onnx", "numpy")


@dataclass(frozen=True)
class Commit:
    """A git commit, and whether tracked files differed from it."""

    sha: str
    modified: bool


def tool_versions() -> dict[str, str]:
    """Give name and version of everything that decides an artifact's bytes, sorted by name."""
    found = {
        "ovenbird": __version__,
        "apache-tvm": TVM_VERSION,
        "apache-tvm-ffi": TVM_FFI_VERSION,
        "python": platform.python_version(),
    }
    for name in _FRAMEWORKS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return dict(sorted(found.items()))


def runtime_requirements() -> dict[str, str]:
    """Give what `ovenbird-runtime` requires on a target, without extras: {"numpy": ">=1.26", ...}, sorted."""
    project = PACKAGE.parents[1] / "runtime" / "pyproject.toml"
    if project.is_file():
        listed = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
    else:
        listed = [text for text in requires("ovenbird-runtime") or () if "extra ==" not in text]
    found = (re.match(r"\s*([A-Za-z0-9._-]+)\s*(.*)", text) for text in listed)
    return dict(sorted((match.group(1).lower(), match.group(2).strip()) for match in found if match))


def find_commit() -> Commit | None:
    """Ask git for the commit of the checkout that this compiler runs from; None where it is installed elsewhere.

    The working directory plays no part: the same compiler gives the same answer from everywhere.
    """
    root = PACKAGE.parents[1]
    if not (root / ".git").exists():
        return None
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}

    def git(*arguments: str) -> str | None:
        command = ["git", "-C", str(root), *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, env=clean, timeout=60, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    sha, changes = git("rev-parse", "HEAD"), git("status", "--porcelain", "--untracked-files=no")
    if sha is None or not re.fullmatch(r"[0-9a-f]{40,64}", sha):
        return None
    return Commit(sha, modified=changes is None or bool(changes))
