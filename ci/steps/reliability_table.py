"""The reliability section of docs/benchmarks.md, from what ci/load/reliability.py found.

reliability_lines(json.loads(Path("docs/benchmarks/reliability.json").read_text()))
"""

from __future__ import annotations

from typing import Any

_HOLDS = {True: "yes", False: "**no**", None: "not measured"}


def reliability_lines(result: dict[str, Any]) -> list[str]:
    """Return the section: each bar, its figure, whether it holds."""
    lines = [
        "## Reliability of the server",
        "",
        "`python ci/load/reliability.py --artifact artifacts/resnet50 --seconds 60 --soak 1800`",
        "",
        "Each bar is held by tests of real processes (tests/security/serve, tests/e2e/serve, tests/load); clients and "
        "load generator share the two processors with the server. A short run is the same test for fewer seconds.",
        "",
        "| bar | figure | holds |",
        "|---|---|---|",
    ]
    for row in result["bars"].values():
        holds = _HOLDS[row["holds"]] + ("" if row["whole"] or row["holds"] is None else " (short run)")
        lines.append(f"| {row['demand']} | {row['figure']} | {holds} |")
    return [*lines, ""]
