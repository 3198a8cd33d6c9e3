"""What this machine is: architecture, processor features, C library, and how many threads are really ours.

machine = this_machine()
machine.arch, machine.glibc          # "x86_64", (2, 36)
"avx512f" in machine.features
available_threads()                  # min(affinity mask, container CPU quota), physical cores where siblings
are known
"""

from __future__ import annotations

import ctypes
import os
import platform
from pathlib import Path

from ..dataclass import dataclass
from .cpuid import hidden_features
from .device_kind import CodeNeeds, DeviceKind

_ARCH = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}

# Bits of AT_HWCAP and AT_HWCAP2 on aarch64, in order; names as /proc/cpuinfo has them
# (Linux: arch/arm64/include/uapi/asm/hwcap.h).
_HWCAP = (
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt fcma lrcpc "
    "dcpop sha3 sm3 sm4 asimddp sha512 sve asimdfhm dit uscat ilrcpc flagm ssbs sb paca pacg"
)
_HWCAP2 = (
    "dcpodp sve2 sveaes svepmull svebitperm svesha3 svesm4 flagm2 frint svei8mm svef32mm svef64mm svebf16 "
    "i8mm bf16 dgh rng bti mte ecv afp rpres mte3 sme smei16i64 smef64f64 smei8i32 smef16f32 smeb16f32 "
    "smef32f32 smefa64 wfxt"
)


@dataclass(frozen=True)
class MachineFacts:
    """A machine as far as compiled code cares; `glibc` is (major, minor), (0, 0) where the C library is another."""

    arch: str
    features: frozenset[str]
    glibc: tuple[int, int]


def this_machine() -> MachineFacts:
    """Look at the machine that this process runs on; never raises, an unknown thing is reported as absent."""
    name = platform.machine().lower()
    arch = _ARCH.get(name, name)
    return MachineFacts(arch, _features(arch), _glibc())


def _features(arch: str) -> frozenset[str]:
    if arch == "aarch64":  # the kernel's own word: /proc/cpuinfo is the host's under user-mode emulation
        getauxval = ctypes.CDLL(None).getauxval
        getauxval.restype, getauxval.argtypes = ctypes.c_ulong, [ctypes.c_ulong]
        found = (_bits(getauxval(16), _HWCAP), _bits(getauxval(26), _HWCAP2))
        return frozenset(name for names in found for name in names)
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    flags = [line.partition(":")[2].split() for line in text.splitlines() if line.startswith("flags")]
    # Cores may differ: only what all of them have is safe, a thread may move from one to the other.
    shared = frozenset.intersection(*map(frozenset, flags)) if flags else frozenset()
    return shared - hidden_features()


def _bits(word: int, names: str) -> list[str]:
    return [name for bit, name in enumerate(names.split()) if word >> bit & 1]


def _glibc() -> tuple[int, int]:
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (ValueError, OSError):
        return (0, 0)
    return version_pair(version) if name == "glibc" else (0, 0)


def version_pair(version: str) -> tuple[int, int]:
    """Read "2.28" as (2, 28); anything else as (0, 0)."""
    parts = version.split(".")
    if len(parts) >= 2 and parts[0].isdecimal() and parts[1].isdecimal():
        return int(parts[0]), int(parts[1])
    return (0, 0)


def available_threads(root: Path = Path("/")) -> int:
    """Return the number of threads worth starting: at least 1.

    The least of: physical cores in the affinity mask (two hardware threads of one core share its vector
    units), and the container's CPU quota (cgroup v2 `cpu.max`, v1 `cpu.cfs_quota_us`) rounded down, since
    threads beyond it are throttled. `root` is where /proc and /sys are looked for.
    """
    try:
        cpus = os.sched_getaffinity(0)
    except (AttributeError, OSError):
        cpus = set(range(os.cpu_count() or 1))
    cores = len({_siblings(cpu, root) for cpu in cpus})
    quota = cpu_quota(root)
    return max(1, cores if quota is None else min(cores, int(quota)))


def _siblings(cpu: int, root: Path) -> str:
    text = _read(root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    return text or str(cpu)


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Return the CPUs that this process's control groups allow, all levels considered; None where there is no quota."""
    quotas = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = (line.split(":", 2) + ["", ""])[:3]
        if controllers == "":
            quotas += [_quota_v2(folder) for folder in _up(root / "sys/fs/cgroup", path)]
        elif "cpu" in controllers.split(","):
            quotas += [_quota_v1(folder) for folder in _up(root / "sys/fs/cgroup" / "cpu", path)]
    found = [quota for quota in quotas if quota is not None]
    return min(found) if found else None


def _up(mount: Path, path: str) -> list[Path]:
    """Return the group's folder and all above it; inside a container the path may not exist below the mount,
    its root does.
    """
    parts = [part for part in path.split("/") if part not in ("", "..")]
    return [mount.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1)]


def _quota_v2(folder: Path) -> float | None:
    quota, _, period = _read(folder / "cpu.max").partition(" ")
    return _ratio(quota, period)


def _quota_v1(folder: Path) -> float | None:
    return _ratio(_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us"))


def _ratio(quota: str, period: str) -> float | None:
    if quota.isdecimal() and period.isdecimal() and int(period) > 0 and int(quota) > 0:
        return int(quota) / int(period)
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


class Processor:
    """The processor as a device: what code needs of it is in `MachineFacts`, and it has no chips to choose from."""

    def check(self, code: CodeNeeds) -> None:
        """Refuse nothing."""

    def rank(self, code: CodeNeeds) -> tuple[int, ...]:
        """Return the same for all code."""
        return ()


PROCESSOR = DeviceKind("cpu", code="llvm", dlpack=1, probe=lambda index: Processor())
