"""The machines that code is held on: this one by level of its instructions, and others under user-mode emulation.

sides = Sides(Path("build/native"), Path("build/native-aarch64"), Path("build/arm64-root"))
sides.commands(MACHINES[0], artifact, Path("in.npz"), ["8:1"])      # what runs it in C++, and in Python
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ovenbird.targets import load_target, why_not_here

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Machine:
    """A target's code on a processor: this one, or one that is emulated, as (architecture, processor)."""

    name: str
    target: str
    emulated: tuple[str, str] | None = None


MACHINES = (
    Machine("x86-64-v2", "x86-64-v2"),
    Machine("x86-64-v3", "x86-64-v3"),
    Machine("x86-64-v4", "x86-64-v4"),
    Machine("x86-64-v2 on a Nehalem", "x86-64-v2", ("x86_64", "Nehalem")),
    Machine("x86-64-v3 on a Haswell", "x86-64-v3", ("x86_64", "Haswell")),
    Machine("aarch64 on a Cortex-A53", "aarch64-generic", ("aarch64", "cortex-a53")),
)
"""Of the emulated x86-64 the C++ side alone, next to Python's here: one program for all of its processors."""


@dataclass(frozen=True)
class Sides:
    """The two runtimes: builds of the C++ one, and a root with ARM's Python, where there are such."""

    native: Path
    native_arm: Path | None
    arm_root: Path | None

    ENVIRONMENT: ClassVar = {"OPENBLAS_CORETYPE": "Nehalem", "OMP_WAIT_POLICY": "passive"}
    """Without the first numpy's OpenBLAS ends by a signal under emulation."""

    def why_not(self, machine: Machine) -> str:
        """Return why the machine's code cannot be run here; nothing where it can."""
        if machine.emulated is None:
            return why_not_here(load_target(machine.target))
        architecture = machine.emulated[0]
        if shutil.which(f"qemu-{architecture}-static") is None:
            return f"no qemu-{architecture}-static (Debian: qemu-user-static)"
        if architecture == "aarch64" and (self.native_arm is None or self.arm_root is None):
            return "not asked for (--no-arm)"
        return ""

    def commands(self, machine: Machine, artifact: Path, inputs: Path, ways: Sequence[str]) -> list[list[str]]:
        """Return what prints the digests of outputs: in C++, and in Python."""
        words = [str(artifact), machine.target, str(inputs), *ways]
        python = [sys.executable, str(HERE / "python_side.py"), *words]
        if machine.emulated is None:
            return [[str(self.native / "ovenbird-outputs"), *words], python]
        emulator = _emulator(machine.emulated)
        if machine.emulated[0] != "aarch64":
            return [[*emulator, str(self.native / "ovenbird-outputs"), *words], python]
        assert self.native_arm is not None
        assert self.arm_root is not None
        inside = [*emulator, "-E", "PYTHONPATH=", "-L", str(self.arm_root), str(self.arm_root / "usr/bin/python3")]
        return [
            [*emulator, str(self.native_arm / "ovenbird-outputs"), *words],
            [*inside, str(HERE / "python_side.py"), *words],
        ]

    def pictures(self, cases: Path) -> dict[str, list[str]]:
        """Return what prints the digests of pixels in C++, by the machine that it is."""
        found = {"x86-64": [str(self.native / "ovenbird-pictures"), str(cases)]}
        if self.native_arm is not None:
            emulator = _emulator(("aarch64", "cortex-a53"))
            found["aarch64"] = [*emulator, str(self.native_arm / "ovenbird-pictures"), str(cases)]
        return found


def _emulator(emulated: tuple[str, str]) -> list[str]:
    architecture, processor = emulated
    return [f"qemu-{architecture}-static", "-cpu", processor]
