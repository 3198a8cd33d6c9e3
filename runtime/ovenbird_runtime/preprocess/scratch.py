"""Memory for one decoded picture, used again and again: fresh pages cost as much as a fifth of decoding into them.

scratch = Scratch()
scratch.block(1280 * 960 * 4)           # uint8; each thread has its own, which is overwritten by its next picture
"""

from __future__ import annotations

import threading

import numpy as np

from ..limits import MAX_SCRATCH_BYTES
from ..tensors.arrays import Array


class Scratch(threading.local):
    """A block a thread, as large as the largest picture so far; large pictures get memory of their own."""

    _block: Array | None = None

    def block(self, nbytes: int) -> Array | None:
        """Return uninitialised bytes; None beyond the limit."""
        if nbytes > MAX_SCRATCH_BYTES:
            return None
        if self._block is None or len(self._block) < nbytes:
            self._block = np.empty(nbytes, np.uint8)
        return self._block[:nbytes]
