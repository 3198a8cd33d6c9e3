"""Links object files into the library of an artifact, the same bytes for the same code.

Example: `link_library(executable, Path("model.so"), ("g++",))`.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

from ovenbird.errors import BuildFailed, DiskFull, output_error
from ovenbird.isolated import FULL

#: No build id and fixed object names: neither the folder nor the time of the build reaches the library.
LINK_FLAGS = ("-shared", "-fPIC", "-Wl,--build-id=none", "-Wl,-s")


def link_library(executable: Any, path: Path, linker: tuple[str, ...] | None) -> None:
    """Exports `executable` as a shared library. Raises BuildFailed if the linker fails, OutputError for the disk."""
    command = linker or ("c++",)

    def link(output: str, objects: list[str], **_: Any) -> None:
        names = []
        for index, name in enumerate(objects):
            fixed = Path(name).with_name(f"part{index}{Path(name).suffix}")
            Path(name).rename(fixed)
            names.append(fixed.name)
        try:
            done = subprocess.run(
                [*command, *LINK_FLAGS, "-o", output, *names],
                cwd=Path(objects[0]).parent,
                capture_output=True,
                text=True,
                check=False,
            )
        except FileNotFoundError:
            raise BuildFailed(f"no linker {command[0]!r} on this machine; install a C++ toolchain") from None
        if done.returncode:
            full = next((line for line in done.stderr.splitlines() if any(sign in line for sign in FULL)), None)
            if full is not None:
                raise DiskFull(f"no room to write {path.name} ({full.strip()}); free some space")
            reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise BuildFailed(f"the linker {command[0]!r} failed: {reason}")

    try:
        with tempfile.TemporaryDirectory() as work:
            executable.export_library(str(path.absolute()), fcompile=link, workspace_dir=work)
    except OSError as error:
        raise output_error(error, str(path)) from error
