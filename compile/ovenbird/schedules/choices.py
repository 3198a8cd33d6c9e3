"""How a schedule decides: by the default that the target's description gives, or by MetaSchedule's sampling.

A schedule is written once. It asks `choices` for every number that could be otherwise; with `Defaults` it gets the
default, with `Samples` a random variable of the schedule's trace, which MetaSchedule mutates and records.

Example: `factors = choices.tiles(sch, loop, defaults=[2, 14], innermost=28); a, b, c = sch.split(loop, factors)`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

from tvm.s_tir import Schedule
from tvm.s_tir.schedule import LoopRV


class Choices(Protocol):
    """Picks numbers and structures for a schedule."""

    def tiles(self, sch: Schedule, loop: LoopRV, defaults: Sequence[int], innermost: int) -> list[Any]:
        """Factors for `sch.split`, outermost first; `defaults` leaves the outermost out."""

    def factor(self, sch: Schedule, candidates: Sequence[int], default: int) -> Any:
        """One of `candidates`: an int, or an expression over the trace's random variable."""

    def structure(self, name: str, default: Any) -> Any:
        """A decision that changes which primitives follow; each value spans a design space of its own."""


class Defaults:
    """Takes every default: no search."""

    def tiles(self, sch: Schedule, loop: LoopRV, defaults: Sequence[int], innermost: int) -> list[Any]:
        """The defaults; the outermost factor is inferred, and the last tile may be ragged."""
        return [None, *defaults]

    def factor(self, sch: Schedule, candidates: Sequence[int], default: int) -> int:
        """The default."""
        return default

    def structure(self, name: str, default: Any) -> Any:
        """The default."""
        return default


class Samples:
    """Samples every factor; structures are fixed by the design space that is being generated."""

    def __init__(self, structures: dict[str, Any] | None = None) -> None:
        self.structures = structures or {}

    def tiles(self, sch: Schedule, loop: LoopRV, defaults: Sequence[int], innermost: int) -> list[Any]:
        """A perfect tiling as a random variable, the default its first decision; ragged defaults stay fixed."""
        extent = int(sch.get(loop).extent)
        inner = math.prod(defaults)
        if extent % inner:
            return [None, *defaults]
        decision = [extent // inner, *defaults]
        limit = max(innermost, defaults[-1])
        return list(sch.sample_perfect_tile(loop, len(decision), limit, decision))

    def factor(self, sch: Schedule, candidates: Sequence[int], default: int) -> Any:
        """A categorical random variable of the trace."""
        if len(candidates) == 1:
            return candidates[0]
        probabilities = [1.0 / len(candidates)] * len(candidates)
        decision = list(candidates).index(default) if default in candidates else None
        return sch.sample_categorical(list(candidates), probabilities, decision)

    def structure(self, name: str, default: Any) -> Any:
        """This design space's value."""
        return self.structures.get(name, default)
