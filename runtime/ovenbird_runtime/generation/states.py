"""The states of sequences in flight, in memory of the runtime's own: a slot a sequence, filled without holes.

    bank = StateBank(states, slots=16)
    slot = bank.take()                       # the next one; it holds no rows yet
    bank.append("keys", slot, rows)          # behind those that it has
    bank.array("keys")[:4]                   # what a program of batch 4 reads, where it lies
    bank.drop(slot)                          # what lies in the last slot moves into the hole; returns which that was

A slot is a row of each array [slots, ...], so that the first of them are one array for a program of any batch. Rows
that were not written are zeros, or what a sequence before left there: programs mask them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..errors import WrongOption
from ..limits import MAX_STATE_BYTES
from ..manifest.fields import ITEM_BYTES
from ..manifest.generation import KeptState
from ..tensors.arrays import Array, aligned_zeros


def state_bytes(states: Mapping[str, KeptState]) -> int:
    """Return what one sequence takes."""
    total = 0
    for state in states.values():
        size = ITEM_BYTES[state.dtype]
        for dim in state.shape:
            size *= dim
        total += size
    return total


class StateBank:
    """States of at most `slots` sequences, of which the first `used` are taken."""

    def __init__(self, states: Mapping[str, KeptState], slots: int) -> None:
        """Take the memory. Raises WrongOption where it is more than states may take."""
        needed = state_bytes(states) * slots
        if needed > MAX_STATE_BYTES:
            raise WrongOption(
                f"{slots} sequences take {needed / 2**20:.0f} MiB of state, limit {MAX_STATE_BYTES / 2**20:.0f} MiB: "
                "fewer at a time"
            )
        self.states, self.slots, self.used = dict(states), slots, 0
        self._arrays = {name: aligned_zeros((slots, *state.shape), state.dtype) for name, state in states.items()}
        self._rows = {name: [0] * slots for name in states}

    def array(self, name: str) -> Array:
        """Return a state of all slots [slots, ...]."""
        return self._arrays[name]

    def rows(self, name: str, slot: int) -> int:
        """Return how many rows of a state were written."""
        return self._rows[name][slot]

    def take(self) -> int:
        """Return the next free slot, without rows."""
        assert self.used < self.slots
        slot, self.used = self.used, self.used + 1
        for rows in self._rows.values():
            rows[slot] = 0
        return slot

    def append(self, name: str, slot: int, rows: Array) -> None:
        """Write rows [...], one state's of one sequence, behind those that it has."""
        axis, start = self.states[name].axis, self._rows[name][slot]
        stop = start + rows.shape[axis]
        assert stop <= self.states[name].capacity
        self._arrays[name][slot][(slice(None),) * axis + (slice(start, stop),)] = rows
        self._rows[name][slot] = stop

    def drop(self, slot: int) -> int:
        """Free a slot; return the one whose sequence lies there now, the last, or `slot` itself where it was that."""
        self.used -= 1
        if slot != self.used:
            self.copy(self.used, slot)
        return self.used

    def clear(self, slot: int) -> None:
        """Let a slot hold zeros, whatever was written there."""
        for name, array in self._arrays.items():
            array[slot] = 0
            self._rows[name][slot] = 0

    def copy(self, source: int, target: int) -> None:
        """Copy the rows of one slot to another; those that both have from one writing are copied all the same."""
        for name, state in self.states.items():
            rows = self._rows[name][source]
            place = (slice(None),) * state.axis + (slice(0, rows),)
            self._arrays[name][target][place] = self._arrays[name][source][place]
            self._rows[name][target] = rows

    def reorder(self, slots: Sequence[int], parents: Sequence[int], kept: Mapping[str, int]) -> None:
        """Let each of `slots` hold what `parents` of them held; the first `kept` rows of a state are alike in all."""
        if list(parents) == list(range(len(slots))):
            return
        taken = [slots[parent] for parent in parents]
        for name, state in self.states.items():
            rows = self._rows[name][slots[0]]
            place = (slice(None),) * state.axis + (slice(kept[name], rows),)
            if kept[name] < rows:
                array = self._arrays[name]
                moved = np.stack([array[slot][place] for slot in taken])
                for slot, one in zip(slots, moved, strict=True):
                    array[slot][place] = one
