"""How weights are packed: in blocks of channels, for the algorithm of each convolution.

Example: `packing_of(load_target("x86-64-v4"), None).block` is 16; variants for narrower vectors may take it too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ovenbird.backends.cpu.algorithms import ALGORITHMS, Algorithm
from ovenbird.backends.cpu.machine import Machine, machine_of
from ovenbird.targets import TargetSpec

if TYPE_CHECKING:
    from ovenbird.records.tuning_log import TuningLog


@dataclass(frozen=True)
class Packing:
    """What decides the bytes of packed weights. Variants built with one packing have the same, and share a file.

    `block`: channels side by side. `machine`, `measured`: whose estimate, and before it whose measurements, choose
    the algorithm of a convolution.
    """

    block: int
    machine: Machine
    measured: dict[str, Algorithm]


def packing_of(widest: TargetSpec, records: TuningLog | None) -> Packing:
    """Return the packing that suits one target best; for several, of the one with the widest vectors."""
    machine = machine_of(widest)
    chosen = records.for_target(widest) if records is not None else None
    return Packing(machine.block, machine, known_algorithms(chosen))


def known_algorithms(records: TuningLog | None) -> dict[str, Algorithm]:
    """Return the algorithms that were chosen by measurement, by the convolution's shape."""
    choices = records.choices if records is not None else {}
    return {key: name for key, name in choices.items() if name in ALGORITHMS}
