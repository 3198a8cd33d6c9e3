"""From imported networks to fused functions for a processor.

Example: `lower_networks({EntryKey("main", 8): module}, machine)` gives one module with `main_b8`.
"""

from __future__ import annotations

from tvm import IRModule, relax

from ovenbird.backends.cpu.algorithms import Algorithm, Decisions
from ovenbird.backends.cpu.joining import join_expansions
from ovenbird.backends.cpu.lowering.context import CpuLowering
from ovenbird.backends.cpu.lowering.handlers import HANDLERS
from ovenbird.backends.cpu.machine import Machine
from ovenbird.backends.cpu.schedules.expansion import tile_of
from ovenbird.backends.optimisations import NOTHING, Without
from ovenbird.lowering.blocked import BlockedForm, UnblockedForm
from ovenbird.lowering.dumping import NOWHERE, Dump
from ovenbird.lowering.entry_key import EntryKey, Networks
from ovenbird.lowering.pipeline import lower
from ovenbird.operators.anchors import Arithmetic


def lower_networks(
    networks: Networks,
    machine: Machine,
    algorithms: dict[str, Algorithm] | None = None,
    deciding: Machine | None = None,
    dump: Dump = NOWHERE,
    without: Without = NOTHING,
) -> IRModule:
    """Return one module of fused, unscheduled functions; equal functions of several networks are shared.

    `algorithms`: measured choices by `ConvolutionShape.key`, which come before the estimate.
    `deciding`: the machine that the estimate is for, `machine` unless its code shares weights with another's.
    `without`: optimisations that are left out.
    """
    # Not `or {}`: a recorder of the choices that were asked for is empty at first.
    measured = {} if algorithms is None else algorithms

    shared: dict[tuple[bytes, int], Algorithm] | None = {} if len({key.size for key in networks}) > 1 else None
    smallest = min(key.batch for key in networks)

    def begin(builder: relax.BlockBuilder, function: relax.Function, key: EntryKey) -> CpuLowering:
        kind = UnblockedForm if "layouts" in without else BlockedForm
        form = kind(builder, machine.block)
        decided = None if shared is None else Decisions(shared)
        return CpuLowering(
            function, form, HANDLERS, machine, measured, deciding or machine, key.batch, smallest, decided, without
        )

    lowered = lower(networks, begin, dump, fused="fusion" not in without)
    if {"fusion", "layouts", "tiles"} & without:
        return lowered

    def worth(image: tuple[int, ...], arithmetic: Arithmetic) -> bool:
        batch, blocks, height, width, _ = image
        return tile_of(batch, blocks, height, width, machine, arithmetic) is not None

    return join_expansions(lowered, worth)
