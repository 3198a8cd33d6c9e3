"""How a schedule decides: by the default that the target's description gives, or by MetaSchedule's sampling.

A schedule is written once. It asks `choices` for every number that could be otherwise; with `Defaults` it gets the
default, with `Samples` a random variable of the schedule's trace, which MetaSchedule mutates and records. The first
decision of every variable is the default, so the design space starts at the default schedule.

Example: `factors = choices.tiles(sch, loop, defaults=[2, 14], innermost=28); a, b, c = sch.split(loop, factors)`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

from tvm.s_tir import Schedule
from tvm.s_tir.schedule import LoopRV

RAGGED_WASTE = 0.15
"""A ragged tile is worth a trial as long as it computes at most this share of positions that nobody wants."""


class Choices(Protocol):
    """Picks numbers and structures for a schedule."""

    def tiles(self, sch: Schedule, loop: LoopRV, defaults: Sequence[int], innermost: int) -> list[Any]:
        """Return the factors for `sch.split`, outermost first; `defaults` leaves the outermost out."""

    def factor(self, sch: Schedule, candidates: Sequence[int], default: int) -> Any:
        """Return one of `candidates`: an int, or an expression over the trace's random variable."""

    def structure(self, name: str, default: Any, values: Sequence[Any] = ()) -> Any:
        """Return a decision that changes which primitives follow; each value spans a design space of its own.

        `values` may be left out for a yes or no.
        """


class Defaults:
    """Takes every default: no search."""

    def tiles(self, sch: Schedule, loop: LoopRV, defaults: Sequence[int], innermost: int) -> list[Any]:
        """Return the defaults; the outermost factor is inferred, and the last tile may be ragged."""
        return [None, *defaults]

    def factor(self, sch: Schedule, candidates: Sequence[int], default: int) -> int:
        """Return the default."""
        return default

    def structure(self, name: str, default: Any, values: Sequence[Any] = ()) -> Any:
        """Return the default."""
        return default


class Samples:
    """Samples every factor; structures are fixed by the design space that is being generated.

    `declared` collects the structures the rule asked for: name -> (default, values).
    """

    def __init__(self, structures: dict[str, Any] | None = None) -> None:
        self.structures = structures or {}
        self.declared: dict[str, tuple[Any, tuple[Any, ...]]] = {}

    def tiles(self, sch: Schedule, loop: LoopRV, defaults: Sequence[int], innermost: int) -> list[Any]:
        """Return one inner factor: any size that wastes little; several: a perfect tiling; the default comes first."""
        extent = int(sch.get(loop).extent)
        limit = max(innermost, defaults[-1])
        if len(defaults) == 1:
            return [None, self.factor(sch, tile_sizes(extent, limit, defaults[0]), defaults[0])]
        inner = math.prod(defaults)
        if extent % inner:
            return [None, *defaults]
        return list(sch.sample_perfect_tile(loop, len(defaults) + 1, limit, [extent // inner, *defaults]))

    def factor(self, sch: Schedule, candidates: Sequence[int], default: int) -> Any:
        """Return a categorical random variable of the trace."""
        if len(candidates) == 1:
            return candidates[0]
        probabilities = [1.0 / len(candidates)] * len(candidates)
        decision = list(candidates).index(default) if default in candidates else None
        return sch.sample_categorical(list(candidates), probabilities, decision)

    def structure(self, name: str, default: Any, values: Sequence[Any] = ()) -> Any:
        """Return this design space's value."""
        known = tuple(values) or ((True, False) if isinstance(default, bool) else (default,))
        self.declared[name] = (default, known)
        return self.structures.get(name, default)


def tile_sizes(extent: int, limit: int, default: int) -> list[int]:
    """Return the sizes up to `limit` that divide `extent`, nearly, and the default."""
    sizes = [
        size for size in range(1, min(extent, limit) + 1) if -(-extent // size) * size <= extent * (1 + RAGGED_WASTE)
    ]
    return sizes if default in sizes else sorted([*sizes, default])
