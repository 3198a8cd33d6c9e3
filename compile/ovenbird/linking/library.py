"""Links object files into the library of an artifact, the same bytes for the same code.

    link_library(executable, Path("model.so"), load_target("aarch64-generic"))

The library is held against what the target promises: its processor, and the oldest C library it runs on.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

from ovenbird.errors import BuildFailed, DiskFull, output_error
from ovenbird.linking.linkers import find_linker
from ovenbird.process.isolated import FULL
from ovenbird_runtime.machine.cpu import version_pair

if TYPE_CHECKING:
    from ovenbird.targets import TargetSpec

LINK_FLAGS = ("-shared", "-fPIC", "-Wl,--build-id=none", "-Wl,-s")
"""No build id and fixed object names: neither the folder nor the time of the build reaches the library."""

MACHINES = {"EM_X86_64": "x86_64", "EM_AARCH64": "aarch64"}


def link_library(executable: Any, path: Path, spec: TargetSpec) -> None:
    """Export `executable` as a shared library for `spec`.

    Raises LinkerMissing, BuildFailed if the linker fails or gives what the target does not run, OutputError.
    """
    command = find_linker(spec)

    def link(output: str, objects: list[str], **_: Any) -> None:
        names = []
        for index, name in enumerate(objects):
            fixed = Path(name).with_name(f"part{index}{Path(name).suffix}")
            Path(name).rename(fixed)
            names.append(fixed.name)
        done = subprocess.run(
            [*command, *LINK_FLAGS, "-o", output, *names],
            cwd=Path(objects[0]).parent,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            full = next((line for line in done.stderr.splitlines() if any(sign in line for sign in FULL)), None)
            if full is not None:
                raise DiskFull(f"no room to write {path.name} ({full.strip()}); free some space")
            reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise BuildFailed(f"the linker {' '.join(command)!r} failed: {reason}")

    try:
        with tempfile.TemporaryDirectory() as work:
            executable.export_library(str(path.absolute()), fcompile=link, workspace_dir=work)
    except OSError as error:
        raise output_error(error, str(path)) from error
    check_library(path, spec, " ".join(command))


def check_library(path: Path, spec: TargetSpec, linker: str) -> None:
    """Raise BuildFailed where the library is for another processor, or needs a later glibc than `spec` promises."""
    arch, symbol = examine_library(path)
    if arch != spec.arch:
        raise BuildFailed(f"{path.name} is for {arch}, target {spec.name} is {spec.arch}: linked by {linker!r}")
    if version_pair(symbol) > version_pair(spec.glibc):
        raise BuildFailed(
            f"{path.name} needs glibc {symbol}, target {spec.name} promises {spec.glibc}: {linker!r} links against a "
            "later C library; raise the target's glibc, or link with ziglang, which has all of them"
        )


def examine_library(path: Path) -> tuple[str, str]:
    """Return the architecture of a shared library and the latest GLIBC version it needs ("0.0": none).

    Raises BuildFailed where it is no ELF file.
    """
    latest = "0.0"
    try:
        with path.open("rb") as stream:
            elf = ELFFile(stream)
            machine = str(elf["e_machine"])
            for section in elf.iter_sections():
                if not isinstance(section, GNUVerNeedSection):
                    continue
                for _, needed in section.iter_versions():
                    for version in needed:
                        family, _, number = str(version.name).partition("_")
                        if family == "GLIBC":
                            latest = max(latest, number, key=version_pair)
    except (ELFError, OSError) as error:
        raise BuildFailed(f"{path.name} is not a library that can be read: {error}") from None
    return MACHINES.get(machine, machine), latest
