"""What must hold in a plan before a pointer is made of it; conformance/plans has a vector for every rule.

    check_entries(plan, "plan.json")                  # the plan by itself: places, indices, what is read and written
    check_plan(plan, target, inputs, outputs)         # against what it runs with

Sizes are products of hostile numbers: in Python they cannot overflow, and are held against the place they claim.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ..errors import PlanInvalid, shown
from ..limits import ALIGNMENT_BYTES
from ..manifest.fields import ITEM_BYTES, Dtype
from ..manifest.program import MAIN, TensorSpec
from .plan import PLAN, Buffer, Plan, PlanEntry

if TYPE_CHECKING:
    from ..manifest.target import WeightTensor


class Arena:
    """Which bytes of the arena hold a value at some point of the list."""

    def __init__(self) -> None:
        self._starts: list[int] = []  # ascending; the ranges do not overlap
        self._held: dict[int, tuple[int, str]] = {}  # start -> end, dtype

    def write(self, buffer: Buffer) -> None:
        """Put a value where the buffer is; whatever overlaps it is gone."""
        start, end = buffer.at, buffer.at + buffer.nbytes
        first = bisect_left(self._starts, start)
        if first and self._held[self._starts[first - 1]][0] > start:
            first -= 1
        last = bisect_left(self._starts, end)
        for gone in self._starts[first:last]:
            del self._held[gone]
        self._starts[first:last] = [start]
        self._held[start] = end, buffer.dtype

    def holds(self, buffer: Buffer) -> bool:
        """Return whether what lies there is one whole value of the buffer's size and dtype."""
        return self._held.get(buffer.at) == (buffer.at + buffer.nbytes, buffer.dtype)


def check_entries(plan: Plan, where: str = PLAN) -> None:
    """Check each entry by itself. Raises PlanInvalid."""
    keys = [entry.key for entry in plan.entries]
    if len(set(keys)) != len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise PlanInvalid(f"{where} has two entries for {shown(twice)}")
    for index, entry in enumerate(plan.entries):
        _check_entry(entry, f"{where}: entry {index}")


def _check_entry(entry: PlanEntry, where: str) -> None:
    for index, buffer in enumerate(entry.buffers):
        _check_buffer(entry, buffer, f"{where}: buffer {index}")
    arena = Arena()
    for index, call in enumerate(entry.calls):
        at = f"{where}: call {index} ({call.kernel})"
        reads = _buffers(entry, call.reads, at)
        writes = _buffers(entry, call.writes, at)
        _check_reads(arena, reads, at)
        if not writes:
            raise PlanInvalid(f"{at} writes nothing")
        _check_apart(reads, writes, at)
        for buffer in writes:
            arena.write(buffer)
    _check_reads(arena, _buffers(entry, entry.outputs, f"{where}.outputs"), f"{where}.outputs")


def _check_buffer(entry: PlanEntry, buffer: Buffer, where: str) -> None:
    if buffer.place == "arena":
        if buffer.at % ALIGNMENT_BYTES:
            raise PlanInvalid(f"{where} begins at byte {buffer.at} of the arena, not a multiple of {ALIGNMENT_BYTES}")
        if buffer.at + buffer.nbytes > entry.arena_bytes:
            raise PlanInvalid(f"{where} ends at byte {buffer.at + buffer.nbytes}, the arena has {entry.arena_bytes}")
    if buffer.place == "constant":
        if buffer.at >= len(entry.constants):
            raise PlanInvalid(f"{where} is constant {buffer.at}, there are {len(entry.constants)}")
        found = len(entry.constants[buffer.at]) // 2
        if found != buffer.nbytes:
            raise PlanInvalid(f"{where} takes {buffer.nbytes} bytes, constant {buffer.at} has {found}")


def _buffers(entry: PlanEntry, indices: Iterable[int], where: str) -> list[Buffer]:
    found = []
    for index in indices:
        if index >= len(entry.buffers):
            raise PlanInvalid(f"{where} names buffer {index}, there are {len(entry.buffers)}")
        found.append(entry.buffers[index])
    return found


def _check_reads(arena: Arena, buffers: Iterable[Buffer], where: str) -> None:
    for buffer in buffers:
        if buffer.place == "arena" and not arena.holds(buffer):
            raise PlanInvalid(
                f"{where} reads {buffer.nbytes} bytes at byte {buffer.at} of the arena, "
                "where no such value was written or another has taken its place"
            )


def _check_apart(reads: Iterable[Buffer], writes: Iterable[Buffer], where: str) -> None:
    """Refuse a call that writes elsewhere than to the arena, or over what it reads or writes too."""
    spans = [(buffer.at, buffer.at + buffer.nbytes, False) for buffer in reads if buffer.place == "arena"]
    for buffer in writes:
        if buffer.place != "arena":
            raise PlanInvalid(f"{where} writes to {buffer.place} {buffer.at}: only the arena may be written to")
        spans.append((buffer.at, buffer.at + buffer.nbytes, True))
    read_to = written_to = 0  # the furthest ends so far
    for start, end, written in sorted(spans):
        if start < written_to or (written and start < read_to):
            raise PlanInvalid(f"{where} writes over what it reads or writes too, at byte {start} of the arena")
        if written:
            written_to = end
        else:
            read_to = max(read_to, end)


def check_plan(
    plan: Plan,
    weights: Sequence[WeightTensor],
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    where: str = PLAN,
    program: str = MAIN,
    size: tuple[int, ...] | None = None,
) -> None:
    """Check a plan's entries of one program against the tensors of `target.json` and the program's inputs and outputs.

    `size`: of a program for several image sizes, the one that these inputs and outputs are of. Raises PlanInvalid.
    """
    tensors = [(tensor.dtype, tensor.shape) for tensor in weights]
    for number, entry in enumerate(plan.entries):
        if entry.program != program or (size is not None and entry.size != size):
            continue
        at = f"{where}: entry {number}"
        given = [(spec.dtype, spec.with_batch(entry.batch)) for spec in inputs]
        for index, buffer in enumerate(entry.buffers):
            if buffer.place in ("input", "weight"):
                _check_given(buffer, given if buffer.place == "input" else tensors, f"{at}: buffer {index}")
        found = [(entry.buffers[index].dtype, entry.buffers[index].shape) for index in entry.outputs]
        expected = [(spec.dtype, spec.with_batch(entry.batch)) for spec in outputs]
        if found != expected:
            raise PlanInvalid(f"{at} gives {shown(found)}, the program's outputs are {shown(expected)}")


def _check_given(buffer: Buffer, given: Sequence[tuple[Dtype, tuple[int, ...]]], where: str) -> None:
    """Refuse a view that is not the whole of the input or weight which it names."""
    if buffer.at >= len(given):
        raise PlanInvalid(f"{where} is {buffer.place} {buffer.at}, there are {len(given)}")
    dtype, shape = given[buffer.at]
    if (buffer.dtype, buffer.nbytes) != (dtype, ITEM_BYTES[dtype] * math.prod(shape)):
        raise PlanInvalid(f"{where} is {buffer.dtype} {buffer.shape}, {buffer.place} {buffer.at} is {dtype} {shape}")
