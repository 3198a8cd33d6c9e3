"""What the schedules need to know of a GPU, from its target.

Example: `chip_of(load_target("cuda-sm90")).multiprocessors` is 132.
"""

from __future__ import annotations

from dataclasses import dataclass

from ovenbird.errors import TargetInvalid
from ovenbird.targets import TargetSpec

WARP = 32
"""The threads of a warp, on every NVIDIA chip so far."""


@dataclass(frozen=True)
class Chip:
    """One GPU. `shared_bytes`: static shared memory that a block may have; `registers`: 32-bit ones of a block."""

    arch: str
    multiprocessors: int
    max_threads: int
    shared_bytes: int
    registers: int

    @property
    def compute(self) -> int:
        """The compute capability as a number: 90 for sm_90."""
        return int(self.arch.removeprefix("sm_"))


def chip_of(target: TargetSpec) -> Chip:
    """Return the chip of a CUDA target. Raises TargetInvalid where its attributes are incomplete."""
    attributes = dict(target.attributes)
    try:
        chip = Chip(
            arch=target.chip,
            multiprocessors=target.cores,
            max_threads=int(attributes["max_threads_per_block"]),
            shared_bytes=int(attributes["max_shared_memory_per_block"]),
            registers=int(attributes["registers_per_block"]),
        )
        if chip.compute < 75 or target.chip != f"sm_{chip.compute}":
            raise ValueError
    except KeyError as missing:
        raise TargetInvalid(f"{target.name}: [attributes] lacks {missing}, which GPU schedules need") from None
    except ValueError:
        raise TargetInvalid(
            f"{target.name}: chip is {target.chip!r}, expected sm_75 or later, without a letter behind it"
        ) from None
    return chip
