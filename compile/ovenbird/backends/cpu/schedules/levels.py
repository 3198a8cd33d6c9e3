"""Stores of levels: several positions of a block of channels in one vector of bytes (`passes.quantized.store_levels`).

Example: `store_as_vectors(sch, output, column, machine)`.
"""

from __future__ import annotations

from tvm.s_tir import Schedule
from tvm.s_tir.schedule import LoopRV, SBlockRV

from ovenbird.backends.cpu.machine import Machine
from ovenbird.operators.quantized.rounding import LEVEL_RANGE
from ovenbird.operators.writing.blocks import extent
from ovenbird.passes.kernels.annotations import STORED


def store_as_vectors(sch: Schedule, output: SBlockRV, position: LoopRV, machine: Machine) -> bool:
    """Ask for vectors of levels, and return whether there will be some: where a block gives levels of an image, and the
    positions of a loop at least one vector. Directly inside `position` comes the loop over the lanes of a block.
    """
    limits = sch.get(output).annotations.get(LEVEL_RANGE)
    if limits is None or not machine.packs_levels or extent(sch, position) * machine.block < machine.vector_bytes:
        return False
    sch.annotate(position, STORED, [machine.lanes("int32"), *limits])
    return True
