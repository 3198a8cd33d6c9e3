"""Which weights a processor keeps in half precision: `--precision f16` computes in float32, and reads less.

    array = stored_weight(packed, rows, machine)        # float16, or `packed` as it is

A product of few rows by a large matrix takes as long as its weights come from memory, and half of the bytes come in
half of the time (measured: 37.1 to 19.5 ms for 25088 x 4096). Everywhere else widening costs time: convolutions read
each weight many times, small matrices stay in the caches. Weights that leave float16's range stay as they are.
"""

from __future__ import annotations

import numpy as np

from ovenbird.backends.cpu.machine import Machine
from ovenbird_runtime.tensors.arrays import Array

MAX_ROWS = 16
"""Beyond so many rows, arithmetic takes longer than memory."""
CACHES = 4
"""A matrix of so many second-level caches is not found in any of them at the next call."""


def stored_weight(packed: Array, rows: int, machine: Machine) -> Array:
    """Return the packed weights of a product of `rows` rows as they are to be stored."""
    if not machine.half_weights or rows > MAX_ROWS or packed.nbytes < CACHES * machine.l2_bytes:
        return packed
    with np.errstate(over="ignore"):
        half: Array = packed.astype(np.float16)
    return half if np.isfinite(half).all() else packed
