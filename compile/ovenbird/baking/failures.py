"""What a builder's log means: the typed error, with its fix, for a build that failed.

raise explain(log, tag="resnet50:x86-64-v3", builder="buildah")
"""

from __future__ import annotations

import re

from ovenbird.errors import BakeError, BakeFailed, BaseUnavailable, ForeignArchitecture, ImageStorageFull
from ovenbird_runtime.errors import one_line

# The words of docker (BuildKit), podman and buildah; each with what it means.
_NO_ROOM = re.compile(r"no space left on device|disk quota exceeded", re.I)
_NO_BASE = re.compile(
    r"(?:pull access denied|manifest unknown|failed to resolve source metadata|image not known|"
    r"initializing source docker://|pinging container registry|unable to find a name and tag match|"
    r"error creating build container|no such host|connection refused).*",
    re.I,
)
_FOREIGN = re.compile(r"exec format error", re.I)
_NO_PACKAGE = re.compile(r"(?:No matching distribution found for|Could not find a version that satisfies).*", re.I)


def explain(log: str, tag: str, builder: str) -> BakeError:
    """Return the error that a failed build's log shows."""
    if _NO_ROOM.search(log):
        return ImageStorageFull(
            f"no room to build {tag}: {builder}'s storage is full; remove images or containers it holds, or move it"
        )
    if _FOREIGN.search(log):
        return ForeignArchitecture(
            f"a command of another processor's image was to run while {tag} was built: the bases of the compiling "
            "stages (TOOLS_BASE, COMPILE_BASE) must be this machine's, or register qemu with binfmt_misc "
            "(Debian: apt-get install qemu-user-static)"
        )
    package = _NO_PACKAGE.search(log)
    if package:
        return BakeFailed(f"{builder} could not build {tag}: pip: {one_line(package[0])}; check the package index")
    base = _NO_BASE.search(log)
    if base and "pip" not in base[0]:
        return BaseUnavailable(
            f"a base image of {tag} cannot be had ({one_line(base[0])[:200]}); log in to its registry, or name one "
            "that is here: --build-arg BASE=... --build-arg TOOLS_BASE=..."
        )
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    last = next((line for line in reversed(lines) if re.search(r"error", line, re.I)), lines[-1] if lines else "")
    return BakeFailed(f"{builder} could not build {tag}: {one_line(last)[:300]} (--show-build prints its whole log)")
