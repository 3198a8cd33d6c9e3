"""What became of networks, kept in files: one a network as the command goes, and one next to the page for all machines.

recorded(RECORD)["timm:levit_128s"].seconds         # what the page is made of
write_record(RECORD, recorded(RECORD) | kept(Path("build/networks")))
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from trying import Result

from ovenbird.replacing import replacing

RECORD = Path(__file__).resolve().parents[2] / "docs/benchmarks/networks.json"


def file_of(results: Path, name: str) -> Path:
    """Return where a network's result is kept."""
    return results / f"{name.replace(':', '.').replace('/', '-')}.json"


def read(file: Path) -> Result:
    """Read a result."""
    return _result(json.loads(file.read_text(encoding="utf-8")))


def write(file: Path, found: Result) -> None:
    """Write a result, whole or not at all."""
    with replacing(file) as partial:
        partial.write_text(json.dumps(asdict(found), indent=1) + "\n", encoding="utf-8")


def kept(results: Path) -> dict[str, Result]:
    """Return all results in a folder, by name."""
    found = [read(file) for file in sorted(results.glob("*.json"))]
    return {one.name: one for one in found}


def recorded(record: Path) -> dict[str, Result]:
    """Return the results that are kept next to the page, by name; none where there is no such file."""
    if not record.is_file():
        return {}
    found = [_result(one) for one in json.loads(record.read_text(encoding="utf-8"))]
    return {one.name: one for one in found}


def write_record(record: Path, results: Mapping[str, Result]) -> None:
    """Write results, a line each, sorted by name, without what was not measured."""
    facts = [asdict(results[name]) for name in sorted(results)]
    lines = [json.dumps({key: value for key, value in one.items() if value not in (None, "")}) for one in facts]
    record.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")


def _result(facts: dict[str, Any]) -> Result:
    found = Result(**facts)
    return replace(found, quartiles=tuple(found.quartiles)) if found.quartiles else found
