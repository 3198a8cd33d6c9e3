"""The optimisations that are switched off in turn, and what takes their place.

parse_switches("winograd,tuning")[0].off                # {"without": ("winograd",)}

Each switch is two sets of options for `preparing`, with the optimisation and without it: the usual build on one side,
and what differs from it on the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ovenbird.errors import UsageError, suggest


@dataclass(frozen=True)
class Switch:
    """One optimisation. `on`, `off`: how the builds with and without it differ from the usual one."""

    name: str
    title: str
    instead: str
    on: Mapping[str, Any] = field(default_factory=dict)
    off: Mapping[str, Any] = field(default_factory=dict)


SWITCHES: Mapping[str, Switch] = {
    switch.name: switch
    for switch in (
        Switch(
            "folding",
            "Batch norms folded into weights",
            "a multiplication and an addition behind each convolution, in its kernel",
            off={"without": ("folding",)},
        ),
        Switch(
            "layouts",
            "Blocked layouts",
            "convolutions and products on tensors and weights as the network wrote them, by the schedule for any "
            "function; Winograd's algorithm and register tiles of images need blocks, and go with them",
            off={"without": ("layouts",)},
        ),
        Switch(
            "tiles",
            "Register tiles",
            "every kernel by the schedule for any function: vectors and threads, sums in memory",
            off={"without": ("tiles",)},
        ),
        Switch(
            "fusion",
            "Fusion",
            "each operator a kernel of its own, attention in its products and its softmax",
            off={"without": ("fusion",)},
        ),
        Switch(
            "winograd",
            "Winograd's algorithm",
            "every 3x3 convolution computed directly",
            off={"without": ("winograd",)},
        ),
        Switch("tuning", "Tuning records", "the default schedules", off={"records": "none"}),
        Switch(
            "precision",
            "Whole numbers of 8 bits",
            "float32, in which all other rows are measured",
            on={"precision": "int8"},
        ),
    )
}
"""By their names, in the order of the table."""


def parse_switches(text: str | None) -> tuple[Switch, ...]:
    """Read `--switches`, as in `winograd,tuning`; all where it is None. Raises UsageError."""
    if text is None:
        return tuple(SWITCHES.values())
    names = list(dict.fromkeys(part.strip() for part in text.split(",")))
    for name in names:
        if name not in SWITCHES:
            hint = suggest(name, list(SWITCHES)) or f"; known are {', '.join(SWITCHES)}"
            raise UsageError(f"--switches {text}: no optimisation {name!r}{hint}")
    return tuple(SWITCHES[name] for name in names)
