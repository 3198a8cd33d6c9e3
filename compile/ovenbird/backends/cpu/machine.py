"""What a schedule needs to know of the machine: lanes, registers, caches, cores; and how wide a block of channels is.

Example: AVX-512 gives `Machine(vector_bytes=64, registers=32, l2_bytes=1 << 20, cores=2)`, whose `lanes("float32")` are
16. AVX2 with the same packed weights has 8 lanes in blocks of 16: LLVM makes two instructions of what is one vector of
16 in a schedule.
"""

from __future__ import annotations

from dataclasses import dataclass

from ovenbird.operators.anchors import size_bytes
from ovenbird.targets import TargetSpec


@dataclass(frozen=True)
class Machine:
    """The part of a CPU target that decides tile sizes. Sizes in bytes.

    `block_lanes`: channels of a block where that is more than one vector of float32; 0 where it is one.
    """

    vector_bytes: int
    registers: int
    l1_bytes: int
    l2_bytes: int
    cores: int
    block_lanes: int = 0

    def lanes(self, dtype: str) -> int:
        """Return how many values of a dtype fill a vector."""
        return max(self.vector_bytes // size_bytes(dtype), 1)

    @property
    def block(self) -> int:
        """Channels that lie side by side in a blocked image and in packed weights."""
        return self.block_lanes or self.lanes("float32")

    def parts(self, dtype: str) -> int:
        """Return the vectors, and so registers, that hold one block of a dtype."""
        return -(-self.block // self.lanes(dtype))


def machine_of(target: TargetSpec, block: int = 0) -> Machine:
    """Return what the schedules need to know of a CPU target whose blocks hold `block` channels (0: one vector)."""
    vector_bytes = max(target.vector_bits // 8, size_bytes("float32"))
    lanes = vector_bytes // size_bytes("float32")
    return Machine(
        block_lanes=block if block % lanes == 0 else 0,
        vector_bytes=vector_bytes,
        registers=target.registers,
        l1_bytes=target.l1d_bytes,
        l2_bytes=target.l2_bytes,
        cores=target.cores,
    )
