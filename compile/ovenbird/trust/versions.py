"""The versions of what an artifact is made by and what it needs, and the commit of the compiler's checkout.

tool_versions()        # {"ovenbird": "0.1.0", "apache-tvm": "0.27.0.post1", "torch": "2.13.0", ...}
find_commit()                 # Commit("5f0c...", modified=False), or None outside a checkout
"""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING

from ovenbird.backends.table import BACKENDS
from ovenbird.linking.linkers import find_linker
from ovenbird.process.git import ask_git
from ovenbird.resources import PACKAGE
from ovenbird_runtime.machine.versions import TVM_FFI_VERSION, TVM_VERSION, __version__

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from ovenbird.targets import TargetSpec

SOURCES = ("compile", "runtime", "pyproject.toml", "ci/constraints.txt")
"""What decides an artifact's bytes, apart from its target's own folders: what ci/steps/pipeline.sh makes its key of."""

_FRAMEWORKS = ("torch", "torchvision", "onnx", "numpy")


@dataclass(frozen=True)
class Commit:
    """A git commit, and whether files that matter differed from it."""

    sha: str
    modified: bool


def tool_versions() -> dict[str, str]:
    """Return name and version of everything that decides an artifact's bytes, sorted by name."""
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
    """Return what `ovenbird-runtime` requires on a target, without extras: {"numpy": ">=1.26", ...}, sorted."""
    project = PACKAGE.parents[1] / "runtime" / "pyproject.toml"
    if project.is_file():
        listed = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
    else:
        listed = [text for text in requires("ovenbird-runtime") or () if "extra ==" not in text]
    found = (re.match(r"\s*([A-Za-z0-9._-]+)\s*(.*)", text) for text in listed)
    return dict(sorted((match.group(1).lower(), match.group(2).strip()) for match in found if match))


def find_commit(targets: Sequence[str] = ()) -> Commit | None:
    """Ask git for the commit of the checkout that this compiler runs from; None where it is installed elsewhere.

    It is the last one that changed what decides an artifact's bytes for `targets`: a change of a page makes no other
    artifact, and one that a pipeline kept is the one that it would make again (a shallow clone may not reach back to
    it, and then names the oldest commit it has). The working directory plays no part.
    """
    root = PACKAGE.parents[1]
    if not (root / ".git").exists():
        return None
    paths = [*SOURCES, *(path for name in targets for path in (f"targets/{name}/target.toml", f"tuning_logs/{name}"))]
    sha = ask_git(root, "log", "-1", "--format=%H", "--", *paths) or ask_git(root, "rev-parse", "HEAD")
    if sha is None or not re.fullmatch(r"[0-9a-f]{40,64}", sha):
        return None
    changes = ask_git(root, "status", "--porcelain", "--", *paths)
    return Commit(sha, modified=changes is None or bool(changes))


def maker_versions(spec: TargetSpec) -> dict[str, str]:
    """Return what links for a target, and for a GPU what assembles for it, as they name themselves."""
    command = find_linker(spec)
    return {f"linker of {spec.name}": _says(command), **BACKENDS[spec.kind].makers(spec)}


def _says(command: Sequence[str]) -> str:
    try:
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    first = (done.stdout.strip().splitlines() or ["unknown"])[0]
    return first.replace(command[0], Path(command[0]).name)  # where it lies is a machine's own business
