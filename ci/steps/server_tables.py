"""The servers' section of docs/benchmarks.md, and README's line of it, from what ci/load/compare.py measured.

result = json.loads(Path("docs/benchmarks/server.json").read_text())
server_lines(result); served_line(result)
"""

from __future__ import annotations

from typing import Any

SERVED_AT = 8
POOLED = (
    "requests/s: median of the rounds, each its turns' answers over their seconds. p50 and p99: of all requests of all "
    "rounds together (their number next to them), the first of a turn, who find no queue, among them; `ab` prints "
    "whole milliseconds. What failed counts neither as an answer nor as a time. `ab` speaks HTTP/1.0: ours "
    "keeps such connections, the others (uvicorn) take a new one for each request. Where the two processors are "
    "virtual, both may stand on one core for a while: the network on both then takes 29 ms instead of 16, and how "
    "often that came decides the p99 of one request at a time."
)


def server_lines(result: dict[str, Any]) -> list[str]:
    """Return the section: figures by concurrency, ratios with their intervals, the server's own cost, memory."""
    lines = [
        "## Servers",
        "",
        "`make load`",
        "",
        "ResNet50 behind our server and behind others, the same photograph, asked by Apache's `ab` in "
        f"{result['rounds']} rounds. In each, all servers are started anew, and for each number of requests at once "
        f"each has {result['turns']} turns of about {result['seconds']:g} s or 100 requests, one moments after the "
        "other, in an order that rotates and turns round; the others are stopped meanwhile. `ab` takes its share of "
        "the two processors. In process, `ovenbird-rt bench` reaches "
        f"{result['in_process']['per_second']:.1f} images/s in this run.",
        "",
        POOLED,
        "",
        "| server | at once | requests/s | p50, ms | p99, ms | requests | failed |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, rows in result["servers"].items():
        for row in rows:
            times = f"{row['per_second']:.1f} | {row['p50_ms']:.1f} | {row['p99_ms']:.1f} | {row['requests']}"
            failed = f"**{row['failed']}** ✗" if row["failed"] else "0"
            lines.append(f"| {name} | {row['concurrency']} | {times} | {failed} |")
    pictures = [f"![{kind}](benchmarks/server-{kind}.png)" for kind in ("throughput", "latency")]
    return [*lines, "", *pictures, "", *_ratio_lines(result), *_own_cost_lines(result), *_memory_lines(result)]


def _ratio_lines(result: dict[str, Any]) -> list[str]:
    at_once = sorted({row["concurrency"] for row in result["ratios"]})
    turns = max(row["by_turn"]["turns"] for row in result["ratios"] if "by_turn" in row)
    text = (
        "Each pair of turns was asked moments apart. requests/s: median of the ratios of all pairs "
        f"(n = {turns} turns), its exact 95 % confidence interval (CI), and the least and most of the "
        "rounds. An interval with 1 inside shows no difference; it takes turns as independent, which those of one "
        "round are not quite. p99: of all requests together, and the least and most of the rounds. ✗: requests failed."
    )
    lines = [
        "### Ratios within the rounds",
        "",
        text,
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
    """Return what the ratio should be; nothing is asked of p99 against ourselves."""
    if "in process" in what:
        return "at least 0.85"
    if "unbatched" in what:
        return "at least 1" if what.startswith("requests/s") else ""
    return "above 1" if what.startswith("requests/s") else "below 1"


def _ratio(row: dict[str, Any]) -> str:
    """Write requests/s by turn with their interval, or a p99 of all requests."""
    by_turn = row.get("by_turn", {})
    middle = by_turn["median"] if by_turn else row["pooled"]
    interval = f"95 % CI {by_turn['ci'][0]:.2f}–{by_turn['ci'][1]:.2f}; " if "ci" in by_turn else ""
    mark = " ✗" if row["failed"] else ""
    return f"**{middle:.2f}** ({interval}rounds {row['least']:.2f}–{row['most']:.2f}){mark}"


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
    """Return README's line: requests/s at one number of requests at once."""
    served = "; ".join(
        f"{name}: {row['per_second']:.1f}"
        for name, rows in result["servers"].items()
        for row in rows
        if row["concurrency"] == SERVED_AT
    )
    return f"Served over HTTP, {SERVED_AT} requests at once, requests/s (`make load`): {served}."
