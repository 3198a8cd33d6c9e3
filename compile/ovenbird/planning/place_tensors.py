"""Where each tensor lies in the arena: those that live at one time lie apart, others may share bytes.

The largest first, each at the lowest place that is free while it lives ("greedy by size for offset calculation",
Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020).

    offsets, nbytes = place_tensors(program)
"""

from __future__ import annotations

from ovenbird.planning.tensors import StraightLine, Tensor
from ovenbird_runtime.limits import ALIGNMENT_BYTES


def place_tensors(program: StraightLine) -> tuple[dict[Tensor, int], int]:
    """Return each arena tensor's offset in bytes, a multiple of 64, and the arena's size."""
    lives = find_lives(program)
    order = sorted(lives, key=lambda tensor: (-tensor.nbytes, lives[tensor]))
    offsets: dict[Tensor, int] = {}
    size = 0
    for tensor in order:
        begin, end = lives[tensor]
        taken = sorted(
            (offset, offset + aligned(other.nbytes))
            for other, offset in offsets.items()
            if lives[other][0] <= end and begin <= lives[other][1]
        )
        place = 0
        for start, stop in taken:
            if place + tensor.nbytes <= start:
                break
            place = max(place, stop)
        offsets[tensor] = place
        size = max(size, place + aligned(tensor.nbytes))
    return offsets, size


def find_lives(program: StraightLine) -> dict[Tensor, tuple[int, int]]:
    """Return the first and the last call that touch each arena tensor; outputs live on to the end."""
    lives: dict[Tensor, tuple[int, int]] = {}
    for index, call in enumerate(program.calls):
        for view in (*call.writes, *call.reads):
            if view.tensor.place == "arena":
                lives[view.tensor] = (lives.get(view.tensor, (index, index))[0], index)
    for view in program.outputs:
        if view.tensor in lives:
            lives[view.tensor] = (lives[view.tensor][0], len(program.calls))
    return lives


def aligned(nbytes: int) -> int:
    """Return a size in bytes rounded up to the alignment."""
    return -(-nbytes // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
