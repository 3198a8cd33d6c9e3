"""What became of networks under `torch.compile`: a file of rows, and one next to the page for all machines.

rows = read(RECORD)
rows["resnet18"].warm_s
write(RECORD, rows)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from ovenbird.replacing import replacing

RECORD = Path(__file__).resolve().parents[2] / "docs/benchmarks/torch-compile.json"


@dataclass(frozen=True)
class Row:
    """A network. Seconds and milliseconds are the clock's unless they say otherwise; None: not measured."""

    network: str
    why: str = ""
    """What is not right, or not whole."""
    compiled: int = 0
    """Graphs that ran compiled."""
    eager: int = 0
    """Graphs that were left to torch."""
    error: float | None = None
    """The largest of an answer, by the answers' spread."""
    first_s: float | None = None
    """From `torch.compile` to the first answer, in a process that compiles."""
    warm_s: float | None = None
    """The same in a second process."""
    ours_s: float | None = None
    """The backend's part of `warm_s`: the rest is Dynamo's."""
    processor_s: float | None = None
    """What `warm_s` took of the processors."""
    own_ms: float | None = None
    peer_ms: float | None = None
    ratio: float | None = None
    """Our time by the peer's, the median of blocks in turn."""
    quartiles: tuple[float, float] | None = None
    peer: str = ""
    threads: int = 0
    """For timing."""
    not_timed: str = ""
    chip: str = ""
    commit: str = ""


def read(file: Path) -> dict[str, Row]:
    """Return the rows of a file by network; none where there is no such file."""
    if not file.is_file():
        return {}
    found = [Row(**facts) for facts in json.loads(file.read_text(encoding="utf-8"))]
    return {row.network: row for row in found}


def write(file: Path, rows: Mapping[str, Row]) -> None:
    """Write rows, a line each, sorted by name, without what was not measured."""
    facts = [asdict(rows[name]) for name in sorted(rows)]
    lines = [json.dumps({key: _short(value) for key, value in one.items() if value not in (None, "")}) for one in facts]
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as partial:
        partial.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")


def _short(value: object) -> object:
    return float(f"{value:.4g}") if isinstance(value, float) else value
