"""From the rounds' rows to medians, and to ratios that pair what was asked in the same round.

    summarise(rounds)["ratios"][0]     # {"what": "requests/s, batched over unbatched", "concurrency": 1, "median": ...}

A machine's speed drifts from minute to minute; what was asked seconds apart drifts together, so that a ratio within a
round says what medians of the two do not.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from servers import BATCHED, UNBATCHED

IN_PROCESS = "in process"
IN_PROCESS_CONCURRENCY = 16
Rows = dict[tuple[str, int], dict[str, Any]]
"""One round: what each participant (and number of requests at once) did."""


def summarise(rounds: Sequence[Rows]) -> dict[str, Any]:
    """Give `servers` (medians by concurrency), `in_process` and `ratios` of all rounds."""
    turns = list(rounds[0])
    servers: dict[str, list[dict[str, Any]]] = {}
    for name, concurrency in sorted(turns, key=lambda turn: turn[1]):
        if name == IN_PROCESS:
            continue
        rows = [rows[name, concurrency] for rows in rounds]
        row: dict[str, Any] = {"concurrency": concurrency}
        row |= {key: round(statistics.median(r[key] for r in rows), 2) for key in ("per_second", "p50_ms", "p99_ms")}
        row |= {"failed": sum(r["failed"] for r in rows), "requests": sum(r["requests"] for r in rows), "rounds": rows}
        servers.setdefault(name, []).append(row)
    found: dict[str, Any] = {"servers": servers, "ratios": _ratios(rounds, list(servers))}
    alone = [rows[turn] for rows in rounds for turn in turns if turn[0] == IN_PROCESS]
    if alone:
        rate = round(statistics.median(row["per_second"] for row in alone), 2)
        found["in_process"] = {"per_second": rate, "rounds": alone}
    return found


def _ratios(rounds: Sequence[Rows], names: list[str]) -> list[dict[str, Any]]:
    """Pair ours with what it is compared with: above 1 is good for requests/s, below 1 for p99."""
    concurrencies = sorted({concurrency for name, concurrency in rounds[0] if name == BATCHED})
    found = []
    for concurrency in concurrencies:
        others = [(UNBATCHED, "unbatched"), *((name, name) for name in names if name not in (BATCHED, UNBATCHED))]
        for other, label in others:
            for key, what in (("per_second", "requests/s"), ("p99_ms", "p99")):
                pairs = [(rows[BATCHED, concurrency][key], rows[other, concurrency][key]) for rows in rounds]
                found.append(_ratio(f"{what}, ours over {label}", concurrency, pairs))
    if (IN_PROCESS, IN_PROCESS_CONCURRENCY) in rounds[0] and IN_PROCESS_CONCURRENCY in concurrencies:
        turn = IN_PROCESS_CONCURRENCY
        pairs = [(rows[BATCHED, turn]["per_second"], rows[IN_PROCESS, turn]["per_second"]) for rows in rounds]
        found.append(_ratio("requests/s, ours over in process", turn, pairs))
    return found


def _ratio(what: str, concurrency: int, pairs: Sequence[tuple[float, float]]) -> dict[str, Any]:
    ratios = [ours / theirs if theirs else 0.0 for ours, theirs in pairs]
    middle, least, most = (round(value, 3) for value in (statistics.median(ratios), min(ratios), max(ratios)))
    return {"what": what, "concurrency": concurrency, "median": middle, "least": least, "most": most}
