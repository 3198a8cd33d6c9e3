"""What a schedule needs to know of the machine: lanes, registers, caches, cores.

Example: AVX-512 gives `Machine(lanes=16, registers=32, l2_bytes=1 << 20, cores=2)`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Machine:
    """The part of a CPU target that decides tile sizes. Sizes in bytes, `lanes` in float32 values a vector."""

    lanes: int
    registers: int
    l1_bytes: int
    l2_bytes: int
    cores: int
