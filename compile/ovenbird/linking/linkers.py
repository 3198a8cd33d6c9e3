"""Which command links for a target on this machine: the first of the target's candidates that is here and fits.

    find_linker(load_target("aarch64-generic"))     # ("/usr/bin/aarch64-linux-gnu-g++",)

A candidate is a command with its arguments. `python -m MODULE ...` runs with this Python, where it has the module; any
other compiler is asked which processor it makes code for (`-dumpmachine`), since `c++` is this machine's own.
"""

from __future__ import annotations

import importlib.util
import shlex
import shutil
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING

from ovenbird.errors import LinkerMissing

if TYPE_CHECKING:
    from ovenbird.targets import TargetSpec

DEFAULT_LINKERS = ("c++", "g++", "clang++")
DEFAULT_HINT = "install a C++ toolchain, in Debian: apt-get install g++"
ASKING_LIMIT_S = 30.0


def find_linker(spec: TargetSpec) -> tuple[str, ...]:
    """Return the command that links for `spec`. Raises LinkerMissing with what was tried and how to install one."""
    refused = []
    for candidate in spec.linker or DEFAULT_LINKERS:
        command, why_not = try_linker(candidate, spec.arch)
        if command:
            return command
        refused.append(f"{candidate} ({why_not})")
    raise LinkerMissing(
        f"no linker for target {spec.name} ({spec.arch}): tried {', '.join(refused)}; "
        f"{spec.linker_hint or DEFAULT_HINT}"
    )


@cache
def try_linker(candidate: str, arch: str) -> tuple[tuple[str, ...], str]:
    """Return the candidate's command, or an empty one and why it cannot link for `arch`."""
    words = tuple(shlex.split(candidate))
    if words[:2] == ("python", "-m"):
        if importlib.util.find_spec(words[2].partition(".")[0]) is None:
            return (), "not installed"
        return (sys.executable, *words[1:]), ""
    program = shutil.which(words[0])
    if program is None:
        return (), "not found"
    try:
        done = subprocess.run(
            [program, *words[1:], "-dumpmachine"], capture_output=True, text=True, timeout=ASKING_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return (), f"does not run: {error}"
    made = done.stdout.strip().partition("-")[0]
    if done.returncode or made != arch:
        return (), f"makes code for {made or 'an unknown processor'}"
    return (program, *words[1:]), ""
