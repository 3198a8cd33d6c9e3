"""The page of the documentation that says what became of torch's samples of its operators.

write_page(Path("sweep.tsv"))
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import torch

PAGE = Path(__file__).parents[2] / "docs/reference/torch-operators.md"

HEAD = """<!-- Written by `ci/operators/torch_sweep.py --page`; do not edit. -->

# torch operators

torch's own samples of the operators that vision networks use (`OpInfo` of torch {version}), each compiled as a network
for this machine: up to five of float32, two each of int64, bool, uint8 and int32, whose tensors are all inputs of the
network. Right: dtype, shape and values of every result are torch's. Refused: `compile` ends with one line that names
the operator and the line of code. Left out is what draws at random or leaves memory unfilled.

| family | operators | samples | right | refused | wrong or crashed |
|---|---:|---:|---:|---:|---:|
"""
COUNTS = slice(2, 6)
"""The columns of a line of the table: right, refused, wrong, crashed."""


def write_page(table: Path) -> None:
    """Write the page of a table as the sweep keeps it."""
    rows = [line.split("\t") for line in table.read_text().splitlines()]
    families = list(dict.fromkeys(row[0] for row in rows))
    lines = [total(name, [row for row in rows if row[0] == name]) for name in families] + [total("all", rows)]
    some = [row for row in rows if any(int(count) for count in row[3:6])]
    lines += ["", f"Right in every sample are {len(rows) - len(some)} of {len(rows)} operators; the others:", ""]
    lines += ["| operator | right | not | why, of the first |", "|---|---:|---:|---|", *map(other, some)]
    PAGE.write_text(HEAD.format(version=torch.__version__.partition("+")[0]) + "\n".join(lines) + "\n")


def total(name: str, rows: Sequence[Sequence[str]]) -> str:
    """Return a line of the totals."""
    right, refused, *faults = (sum(map(int, column)) for column in zip(*(row[COUNTS] for row in rows), strict=True))
    bad = sum(faults)
    return f"| {name} | {len(rows)} | {right + refused + bad} | {right} | {refused} | {bad} |"


def other(row: Sequence[str]) -> str:
    """Return a line of an operator that is not right in every sample."""
    why = re.sub(r" \(torch_sweep\.py.*|; inputs .*| at torch_sweep\.py:\d+, \"[^\"]*\"", "", row[7])
    why = re.sub(r"^refused ", "", why).replace("|", "\\|").strip()
    return f"| `{row[1]}` | {row[2]} | {sum(map(int, row[3:6]))} | {why} |"
