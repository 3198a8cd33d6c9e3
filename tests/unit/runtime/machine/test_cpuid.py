"""What CPUID denies is not believed to be there, whatever the kernel's list says."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import pytest

from ovenbird_runtime.machine.cpuid import EBX, ECX, LEAF_1, LEAF_7, NAMES, denied_features, hidden_features
from support.emulation import emulate

ALL = frozenset(name for names in NAMES.values() for name in names.values())
SHOW = "from ovenbird_runtime.machine.cpu import this_machine; print(*sorted(this_machine().features))"

on_x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="CPUID is an instruction of x86-64")


def kernel_flags() -> set[str]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return set(next(line for line in lines if line.startswith("flags")).partition(":")[2].split())


def test_bits_that_are_zero_are_denied() -> None:
    assert denied_features(lambda leaf, register: 0xFFFFFFFF) == frozenset()
    assert denied_features(lambda leaf, register: 0) == ALL
    avx_alone = denied_features(lambda leaf, register: 1 << 28 if (leaf, register) == (LEAF_1, ECX) else 0)
    assert avx_alone == ALL - {"avx"}
    assert NAMES[LEAF_7, EBX][5] == "avx2"


@on_x86
def test_a_real_processor_hides_nothing_that_the_kernel_shows() -> None:
    assert not hidden_features() & kernel_flags()


@on_x86
@pytest.mark.parametrize(
    ("cpu", "has", "lacks"),
    [
        ("Nehalem", {"sse4_2", "popcnt", "cx16"}, {"avx", "avx2", "fma", "avx512f"}),
        ("SandyBridge", {"avx", "sse4_2"}, {"avx2", "fma", "bmi2", "avx512f"}),
        ("Haswell", {"avx2", "fma", "bmi2", "movbe"}, {"avx512f", "avx512vl"}),
    ],
)
def test_an_emulated_processor_has_its_own_features(cpu: str, has: set[str], lacks: set[str]) -> None:
    path = os.pathsep.join(path for path in sys.path if path)
    program = [Path(sys.executable).resolve(), "-c", SHOW]
    done = emulate("x86_64", cpu, program, {"PYTHONPATH": path})
    assert done.returncode == 0, done.stderr
    features = set(done.stdout.split())
    # an older host shows less, and is right
    assert not features & lacks
    assert has & kernel_flags() <= features
