"""Plans: the choices of the GPU code generator for one function, as numbers. Tuning chooses among them.

    from ovenbird.backends.cuda.plans.tiling import BlockTile, Tiling

    plan = Tiling(BlockTile(64, 64, 16, 64, 0.85), splits=4)          # a matrix product in tiles
    str(VectorPlan(warps=8))                                     # "vectors of 8 warps x 32 lanes"

`plans.space` lists those that fit a function and a chip; the schedules follow them.
"""

from __future__ import annotations

from dataclasses import dataclass

from ovenbird.backends.cuda.chip import WARP
from ovenbird.backends.cuda.plans.tiling import Tiling


@dataclass(frozen=True)
class VectorPlan:
    """A product of few rows: each output is summed by `lanes` threads; a block computes `warps` outputs."""

    warps: int = 4
    lanes: int = WARP

    def __str__(self) -> str:
        """Return the plan as logs show it."""
        return f"vectors of {self.warps} warps x {self.lanes} lanes"


@dataclass(frozen=True)
class ThreadPlan:
    """One thread an output, `threads` a block."""

    threads: int = 256

    def __str__(self) -> str:
        """Return the plan as logs show it."""
        return f"{self.threads} threads, one an output"


@dataclass(frozen=True)
class GroupPlan:
    """`group` threads sum for each output; a block computes `columns` neighbouring outputs."""

    group: int = 16
    columns: int = 32

    def __str__(self) -> str:
        """Return the plan as logs show it."""
        return f"groups of {self.group} threads x {self.columns} outputs"


@dataclass(frozen=True)
class ChainPlan:
    """Reductions that feed each other (softmax, layer norm): dlight's schedule, which leaves no choice."""

    def __str__(self) -> str:
        """Return the plan as logs show it."""
        return "dlight's chain"


KernelPlan = Tiling | VectorPlan | ThreadPlan | GroupPlan | ChainPlan
