"""What this machine is, in the words of `TargetSpec`: the processor LLVM knows, its features, caches and C library.

    describe_host()["mcpu"]       # "znver4"

LLVM names a processor by its family; a hypervisor may hide some of that family's instructions. Whatever LLVM would use
and `/proc/cpuinfo` does not show is switched off with `-feature`, so that host code never ends in SIGILL here.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from ovenbird.errors import TargetInvalid
from ovenbird.host.figures import read_figures
from ovenbird.host.llvm_view import llvm_view

CPUINFO = Path("/proc/cpuinfo")
CACHES = Path("/sys/devices/system/cpu/cpu0/cache")

X86_FEATURES: dict[str, str] = {
    # LLVM's name -> /proc/cpuinfo's name, for the instructions that LLVM puts into code by itself
    "sse3": "pni", "ssse3": "ssse3", "sse4.1": "sse4_1", "sse4.2": "sse4_2", "sse4a": "sse4a", "popcnt": "popcnt",
    "cx16": "cx16", "movbe": "movbe", "lzcnt": "abm", "bmi": "bmi1", "bmi2": "bmi2", "adx": "adx", "f16c": "f16c",
    "fma": "fma", "avx": "avx", "avx2": "avx2", "avxvnni": "avx_vnni", "avxifma": "avx_ifma",
    "avx512f": "avx512f", "avx512bw": "avx512bw", "avx512cd": "avx512cd", "avx512dq": "avx512dq",
    "avx512vl": "avx512vl", "avx512ifma": "avx512ifma", "avx512vbmi": "avx512vbmi", "avx512vbmi2": "avx512_vbmi2",
    "avx512vnni": "avx512_vnni", "avx512bitalg": "avx512_bitalg", "avx512vpopcntdq": "avx512_vpopcntdq",
    "avx512bf16": "avx512_bf16", "avx512fp16": "avx512_fp16", "avx512vp2intersect": "avx512_vp2intersect",
    "gfni": "gfni", "amx-tile": "amx_tile", "amx-int8": "amx_int8", "amx-bf16": "amx_bf16",
}  # fmt: skip
ARM_FEATURES: dict[str, str] = {
    "neon": "asimd", "fp-armv8": "fp", "crc": "crc32", "lse": "atomics", "rdm": "asimdrdm", "dotprod": "asimddp",
    "fullfp16": "asimdhp", "fp16fml": "asimdfhm", "sve": "sve", "sve2": "sve2", "i8mm": "i8mm", "bf16": "bf16",
    "rcpc": "lrcpc",
}  # fmt: skip


def describe_host() -> dict[str, Any]:
    """Return the fields of `TargetSpec` for the machine this runs on.

    Raises TargetInvalid on an unknown architecture.
    """
    arch = platform.machine()
    if arch not in ("x86_64", "aarch64"):
        raise TargetInvalid(f"target 'host': this machine is {arch}, known are x86_64 and aarch64")
    shown = cpu_flags()
    mcpu, llvm = llvm_view(cpu_name(), shown)
    names = X86_FEATURES if arch == "x86_64" else ARM_FEATURES
    used = {feature: name for feature, name in names.items() if feature in llvm}
    features = tuple(sorted(name for name in used.values() if name in shown))
    hidden = tuple(sorted(f"-{feature}" for feature, name in used.items() if name not in shown))
    cores = len(os.sched_getaffinity(0))
    figures = read_figures(cpu_name(), cores)
    wide = arch == "x86_64" and "avx512f" in features
    vector_bits = 512 if wide else 256 if "avx2" in features else 128
    return {
        "kind": "llvm",
        "arch": arch,
        "triple": f"{arch}-linux-gnu",
        "mcpu": mcpu,
        # LLVM halves the vectors of some AVX-512 processors by default; the schedules choose their own width
        "mattr": (("-prefer-256-bit",) if wide else ()) + hidden,
        "features": features,
        "vector_bits": vector_bits,
        "registers": 32 if wide or arch == "aarch64" else 16,
        "cores": cores,
        "l1d_bytes": cache_bytes(1, 32 * 1024),
        "l2_bytes": cache_bytes(2, 512 * 1024),
        "l3_bytes": cache_bytes(3, 0),
        "memory_bytes_per_cycle": figures.memory_bytes_per_cycle if figures else 0,
        "glibc": platform.libc_ver()[1] or "2.28",
    }


def cpu_name() -> str:
    """Return what this machine's processor calls itself, with family and model, as vendors reuse names."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    values: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition(":")
        values.setdefault(key.strip(), value.strip())
    if "model name" not in values:
        return platform.machine()
    return f"{values['model name']} (family {values.get('cpu family', '?')}, model {values.get('model', '?')})"


def cpu_flags() -> frozenset[str]:
    """Return the processor's flags as the kernel shows them (`flags` on x86-64, `Features` on aarch64)."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise TargetInvalid(f"target 'host': cannot read {CPUINFO}: {error.strerror}") from None
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            return frozenset(value.split())
    return frozenset()


def cache_bytes(level: int, default: int, caches: Path = CACHES) -> int:
    """Return the size in bytes of the first core's data cache at `level`, or `default` where the kernel hides it."""
    for index in sorted(caches.glob("index*")):
        try:
            found, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
        except OSError:
            continue
        if found == str(level) and kind in ("Data", "Unified"):
            scale = {"K": 1024, "M": 1024**2}.get(size[-1], 1)
            return int(size.rstrip("KM")) * scale
    return default
