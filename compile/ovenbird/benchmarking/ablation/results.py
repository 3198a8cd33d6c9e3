"""What an ablation found, as plain data: a row for each network and optimisation, kept in one JSON file.

ablation = Ablation.read(Path("ablation.json"))
ablation.row("resnet50", "winograd").ratio.median       # times as long without it
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ovenbird.benchmarking.report.statistics import Spread, paired_ratio
from ovenbird.errors import UsageError

SCHEMA = 1


@dataclass(frozen=True)
class MeasuredSide:
    """One of the two artifacts. `ms`: spread of the rounds' medians; `error`: root mean square of errors as a share of
    the output's spread; `kernels`: how many there are; `bytes`: of code and weights.
    """

    ms: Spread
    error: float
    kernels: int
    bytes: int


@dataclass(frozen=True)
class AblationRow:
    """One network with and without one optimisation.

    `ratio`: the time without it over the time with it, paired by round; above 1: it gains. None, as both sides are,
    where there was nothing to measure, and `note` says why.
    """

    network: str
    switch: str
    date: str
    on: MeasuredSide | None = None
    off: MeasuredSide | None = None
    ratio: Spread | None = None
    note: str = ""


def measured_row(
    row: AblationRow, sides: tuple[MeasuredSide, MeasuredSide], rounds: tuple[Sequence[float], Sequence[float]]
) -> AblationRow:
    """Return the row with both sides and the ratio of their rounds: with the optimisation, and without it."""
    with_ms, without_ms = rounds
    return dataclasses.replace(row, on=sides[0], off=sides[1], ratio=paired_ratio(without_ms, with_ms))


@dataclass
class Ablation:
    """All rows, where and how they were measured; `networks`: what is known of each."""

    command: str
    machine: dict[str, Any]
    settings: dict[str, Any]
    networks: dict[str, dict[str, Any]] = field(default_factory=dict)
    rows: list[AblationRow] = field(default_factory=list)

    def row(self, network: str, switch: str) -> AblationRow | None:
        """Return a row that is there."""
        return next((row for row in self.rows if (row.network, row.switch) == (network, switch)), None)

    def to_json(self) -> str:
        """Return the whole as JSON."""
        return json.dumps({"schema": SCHEMA, **dataclasses.asdict(self)}, indent=2) + "\n"

    @classmethod
    def read(cls, path: Path) -> Ablation:
        """Read what `to_json` wrote. Raises UsageError for another file."""
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            if document.pop("schema") != SCHEMA:
                raise ValueError("another schema")
            return cls(**document | {"rows": [_row(row) for row in document["rows"]]})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{path} is not what --ablation writes: {error}; remove it to begin anew") from error

    def require_like(self, other: Ablation, path: Path) -> None:
        """Refuse to add rows that were measured elsewhere or otherwise to those of `path`. Raises UsageError."""
        where = self.machine["processor"], other.machine["processor"]
        if where[0] != where[1]:
            raise UsageError(f"{path} was measured on {where[0]}, this is {where[1]}: give another --output")
        for name, value in other.settings.items():
            if self.settings.get(name) != value:
                raise UsageError(
                    f"{path} was measured with {name} {self.settings.get(name)}, not {value}: give another --output"
                )


def _row(document: dict[str, Any]) -> AblationRow:
    def side(found: dict[str, Any] | None) -> MeasuredSide | None:
        return None if found is None else MeasuredSide(**found | {"ms": Spread(**found["ms"])})

    ratio = document["ratio"]
    values = {"on": side(document["on"]), "off": side(document["off"]), "ratio": ratio and Spread(**ratio)}
    return AblationRow(**document | values)
