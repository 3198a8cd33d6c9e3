"""CUDA's two libraries that code needs to run, not to be compiled: the driver's, and the runtime's.

Example: `load_first(CUDART, *cudart_wheels())` is False where neither the machine nor a wheel has libcudart.
"""

from __future__ import annotations

import ctypes
import sys
import sysconfig
from pathlib import Path

from ovenbird_runtime.console.installing import install_hint
from ovenbird_runtime.errors import LibraryMissing

DRIVER, CUDART = "libcuda.so.1", "libcudart.so.13"


def require_cudart() -> None:
    """Load libcudart into this process. Raises LibraryMissing."""
    if not load_first(CUDART, *cudart_wheels()):
        raise LibraryMissing(f"{CUDART} is not on this machine: {install_hint('cuda', '.')}")


def cudart_wheels() -> list[str]:
    """Return where NVIDIA's wheel puts CUDA's runtime library."""
    packages = sorted({Path(entry) for entry in (sysconfig.get_path("purelib"), *sys.path) if entry})
    return [str(folder / "nvidia" / "cu13" / "lib" / CUDART) for folder in packages]


def load_first(*names: str) -> bool:
    """Load the first library that there is, for all of the process; return whether there was one."""
    for name in names:
        try:
            ctypes.CDLL(name, ctypes.RTLD_GLOBAL)
        except OSError:
            continue
        return True
    return False
