"""Stores of levels: several positions of a block of channels in one vector of bytes (`passes.quantized.store_levels`).

Example: `if fills_vectors(sch, output, column, machine): store_as_vectors(sch, output, column, machine)`.
"""

from __future__ import annotations

from tvm.s_tir import Schedule
from tvm.s_tir.schedule import LoopRV, SBlockRV

from ovenbird.backends.cpu.machine import Machine
from ovenbird.operators.blocks import extent
from ovenbird.operators.quantized.rounding import LEVEL_RANGE
from ovenbird.passes.quantized.annotations import STORED


def fills_vectors(sch: Schedule, output: SBlockRV, position: LoopRV, machine: Machine) -> bool:
    """Return whether a block gives levels of an image, and the positions of a loop at least one vector of them."""
    is_image = LEVEL_RANGE in sch.get(output).annotations
    return is_image and machine.packs_levels and extent(sch, position) * machine.block >= machine.vector_bytes


def store_as_vectors(sch: Schedule, output: SBlockRV, position: LoopRV, machine: Machine) -> None:
    """Ask for vectors of levels; directly inside `position` is the loop over the lanes of a block."""
    limits = sch.get(output).annotations[LEVEL_RANGE]
    sch.annotate(position, STORED, [machine.lanes("int32"), *limits])
