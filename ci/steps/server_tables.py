"""The servers' section of docs/benchmarks.md, and README's line of it, from what ci/load/compare.py measured.

result = json.loads(Path("docs/benchmarks/server.json").read_text())
server_lines(result); served_line(result)
"""

from __future__ import annotations

from typing import Any

SERVED_AT = 8


def server_lines(result: dict[str, Any]) -> list[str]:
    """Give the section: medians by concurrency, ratios by round, the server's own cost, memory."""
    lines = [
        "## Servers",
        "",
        "`make load`",
        "",
        "ResNet50 behind our server and behind others, the same photograph, asked by Apache's `ab` in "
        f"{result['rounds']} rounds: in each, started anew, for each number of requests at once, each server for about "
        f"{result['seconds']:g} s, one moments after the other, in an order that rotates and turns "
        "round; the others are stopped "
        "meanwhile. `ab` takes its share of the two processors. In process, `ovenbird-rt bench` reaches "
        f"{result['in_process']['per_second']:.1f} images/s in this run. Medians of the rounds:",
        "",
        "| server | at once | requests/s | p50, ms | p99, ms | failed |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, rows in result["servers"].items():
        for row in rows:
            times = f"{row['per_second']:.1f} | {row['p50_ms']:.1f} | {row['p99_ms']:.1f} | {row['failed']}"
            lines.append(f"| {name} | {row['concurrency']} | {times} |")
    pictures = [f"![{kind}](benchmarks/server-{kind}.png)" for kind in ("throughput", "latency")]
    return [*lines, "", *pictures, "", *_ratio_lines(result), *_own_cost_lines(result), *_memory_lines(result)]


def _ratio_lines(result: dict[str, Any]) -> list[str]:
    at_once = sorted({row["concurrency"] for row in result["ratios"]})
    lines = [
        "### Ratios within the rounds",
        "",
        "Each round's ratio pairs what was asked moments apart: median (least–most).",
        "",
        f"| | bar | {' | '.join(f'{count} at once' for count in at_once)} |",
        f"|---|---|{'---:|' * len(at_once)}",
    ]
    for what in dict.fromkeys(row["what"] for row in result["ratios"]):
        found = {row["concurrency"]: row for row in result["ratios"] if row["what"] == what}
        cells = [_ratio(found[count]) if count in found else "" for count in at_once]
        lines.append(f"| {what} | {_bar(what)} | {' | '.join(cells)} |")
    return [*lines, ""]


def _bar(what: str) -> str:
    """Give what the ratio should be; nothing is asked of p99 against ourselves."""
    if "in process" in what:
        return "at least 0.85"
    if "unbatched" in what:
        return "at least 1" if what.startswith("requests/s") else ""
    return "above 1" if what.startswith("requests/s") else "below 1"


def _ratio(row: dict[str, Any]) -> str:
    return f"**{row['median']:.2f}** ({row['least']:.2f}–{row['most']:.2f})"


def _own_cost_lines(result: dict[str, Any]) -> list[str]:
    cost = result["own_cost"]
    stages = ", ".join(f"{stage} {value:.2f}" for stage, value in cost["stages_ms"].items())
    photos = "the photograph" if cost["photos"] == 1 else f"{cost['photos']} photographs"
    return [
        "### The server's own cost",
        "",
        f"{cost['requests']} requests of {photos} one after the other over one connection, by the header "
        f"`Server-Timing`, medians: compute {cost['compute_ms']:.2f} ms, all else in the server "
        f"{cost['own_ms']:.2f} ms ({stages}), which is **{cost['share']:.1%}** of compute (the bar: 15 %). "
        f"The client sees {cost['client_ms']:.2f} ms.",
        "",
    ]


def _memory_lines(result: dict[str, Any]) -> list[str]:
    lines = [
        "### Memory",
        "",
        "Resident, with mapped weights; of a server of several processes, the sum.",
        "",
        "| server | idle, MiB | loaded, MiB |",
        "|---|---:|---:|",
    ]
    rows = [f"| {name} | {row['idle']:.0f} | {row['loaded']:.0f} |" for name, row in result["memory_mib"].items()]
    return [*lines, *rows, ""]


def served_line(result: dict[str, Any]) -> str:
    """Give README's line: requests/s at one number of requests at once."""
    served = "; ".join(
        f"{name}: {row['per_second']:.1f}"
        for name, rows in result["servers"].items()
        for row in rows
        if row["concurrency"] == SERVED_AT
    )
    return f"Served over HTTP, {SERVED_AT} requests at once, requests/s (`make load`): {served}."
