"""Functions that do nothing but move elements: written anew, as tiles that are transposed in registers.

Example: a lone `pack` of 144 channels becomes a kernel of plain loops; one with a map fused into it is scheduled.
"""

from __future__ import annotations

from typing import cast

from tvm import tirx
from tvm.s_tir import SBlock, SBlockRealize

from ovenbird.backends.cpu.machine import Machine
from ovenbird.operators.movements.transposition import MOVEMENT, MovementKind, transposing_kernel


def transposed(function: tirx.PrimFunc, machine: Machine) -> tirx.PrimFunc | None:
    """Return the kernel of a function that is marked as a movement; None for others, and where no tile fits in."""
    kind = function.attrs.get(MOVEMENT) if function.attrs else None
    if kind is None:
        return None
    source, target = ([int(extent) for extent in buffer.shape] for buffer in function.params)
    dtype, lanes = str(function.params[0].dtype), machine.lanes("float32")
    kernel = transposing_kernel(cast("MovementKind", str(kind)), source, target, dtype, lanes)
    if kernel is None:
        return None
    root = SBlock([], [], [], "kernel", kernel.body)
    return kernel.with_body(SBlockRealize([], True, root)).with_attrs(function.attrs)
