"""What the x86-64 processor itself says it lacks, where the kernel's list of its features belongs to another.

    hidden_features()        # frozenset() on a real machine; {"avx2", "fma", ...} under an emulated older processor

A user-mode emulator translates instructions but shows its host's /proc/cpuinfo: code chosen by that file alone ends in
SIGILL. The C library asks the CPUID instruction at its start and hands out what it found.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

# (leaf, register) -> {bit: name in /proc/cpuinfo}, for what compilers put into code by themselves. Leaves are numbered
# as in glibc's <sys/platform/x86.h>, registers are eax, ebx, ecx, edx; bits as in Intel's manual, volume 2, CPUID.
LEAF_1, LEAF_7, LEAF_80000001, LEAF_7_1 = 0, 1, 2, 6
EAX, EBX, ECX, EDX = range(4)
NAMES: dict[tuple[int, int], dict[int, str]] = {
    (LEAF_1, ECX): {
        0: "pni", 1: "pclmulqdq", 9: "ssse3", 12: "fma", 13: "cx16", 19: "sse4_1", 20: "sse4_2", 22: "movbe",
        23: "popcnt", 25: "aes", 26: "xsave", 28: "avx", 29: "f16c",
    },
    (LEAF_1, EDX): {25: "sse", 26: "sse2"},
    (LEAF_7, EBX): {
        3: "bmi1", 5: "avx2", 8: "bmi2", 16: "avx512f", 17: "avx512dq", 19: "adx", 21: "avx512ifma", 28: "avx512cd",
        30: "avx512bw", 31: "avx512vl",
    },
    (LEAF_7, ECX): {
        1: "avx512vbmi", 6: "avx512_vbmi2", 8: "gfni", 9: "vaes", 10: "vpclmulqdq", 11: "avx512_vnni",
        12: "avx512_bitalg", 14: "avx512_vpopcntdq",
    },
    (LEAF_7, EDX): {8: "avx512_vp2intersect", 22: "amx_bf16", 23: "avx512_fp16", 24: "amx_tile", 25: "amx_int8"},
    (LEAF_80000001, ECX): {0: "lahf_lm", 5: "abm", 6: "sse4a"},
    (LEAF_7_1, EAX): {4: "avx_vnni", 5: "avx512_bf16", 23: "avx_ifma"},
}  # fmt: skip


def hidden_features() -> frozenset[str]:
    """Return the features that CPUID denies, by their names in /proc/cpuinfo; none where CPUID cannot be asked.

    It cannot with a C library other than glibc, or one before 2.33: the kernel's list then stands alone.
    """
    try:
        leaf_of = ctypes.CDLL(None).__x86_get_cpuid_feature_leaf
    except (AttributeError, OSError):
        return frozenset()
    # struct cpuid_feature: four registers as CPUID gave them, then the four that the C library itself makes use of
    leaf_of.restype, leaf_of.argtypes = ctypes.POINTER(ctypes.c_uint32 * 8), [ctypes.c_uint]
    return denied_features(lambda leaf, register: int(leaf_of(leaf).contents[register]))


def denied_features(register_of: Callable[[int, int], int]) -> frozenset[str]:
    """Return the names of the bits that are 0 in the words of `register_of(leaf, register)`."""
    return frozenset(
        name
        for (leaf, register), names in NAMES.items()
        for bit, name in names.items()
        if not register_of(leaf, register) >> bit & 1
    )
