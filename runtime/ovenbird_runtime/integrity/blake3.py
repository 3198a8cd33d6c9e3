"""BLAKE3 of the bytes of large files, by the package of that name where it is installed (extra `[blake3]`).

    blake3_of(mapped.bytes)         # 64 hexadecimal characters, or None without the package: take sha256 then

On a processor without SHA instructions sha256 reads a quarter to half a gigabyte a second, and BLAKE3 several. In one
thread, as a pool of threads that stays would not outlive a fork.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


def blake3_of(data: memoryview) -> str | None:
    """Return the BLAKE3 of `data` as 64 hexadecimal characters, or None where the package is not installed."""
    hasher = _hasher()
    return None if hasher is None else str(hasher(data).hexdigest())


@functools.cache
def _hasher() -> Callable[[memoryview], Any] | None:
    try:
        from blake3 import blake3
    except ImportError:
        return None
    found: Callable[[memoryview], Any] = blake3
    return found
