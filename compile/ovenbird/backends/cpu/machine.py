"""What a schedule needs to know of the machine: lanes, registers, caches, cores; and how wide a block of channels is.

Example: AVX-512 gives `Machine(lanes=16, registers=32, l2_bytes=1 << 20, cores=2)`. AVX2 beside it, reading the same
packed weights, has `lanes=8, block=16`: LLVM makes two instructions of what is one vector of 16 in a schedule.
"""

from __future__ import annotations

from dataclasses import dataclass

from ovenbird.targets import TargetSpec


@dataclass(frozen=True)
class Machine:
    """The part of a CPU target that decides tile sizes. Sizes in bytes, `lanes` in float32 values a vector.

    `block_lanes`: channels of a block where that is more than one vector (a multiple of `lanes`); 0 where it is one.
    """

    lanes: int
    registers: int
    l1_bytes: int
    l2_bytes: int
    cores: int
    block_lanes: int = 0

    @property
    def block(self) -> int:
        """Channels that lie side by side in a blocked image and in packed weights."""
        return self.block_lanes or self.lanes

    @property
    def parts(self) -> int:
        """Vectors, and so registers, that hold one block."""
        return self.block // self.lanes


def machine_of(target: TargetSpec, block: int = 0) -> Machine:
    """Return what the schedules need to know of a CPU target whose blocks hold `block` channels (0: one vector)."""
    lanes = max(target.vector_bits // 32, 1)
    return Machine(
        block_lanes=block if block % lanes == 0 else 0,
        lanes=lanes,
        registers=target.registers,
        l1_bytes=target.l1d_bytes,
        l2_bytes=target.l2_bytes,
        cores=target.cores,
    )
