"""From the rounds' turns to what each server did, over all of them and round by round.

    summarise(rounds)["servers"]["ovenbird"][0]    # {"concurrency": 1, "per_second": ..., "p99_ms": ..., "rounds": ...}

requests/s of a round are its turns' answers over their seconds, of all rounds their median; p50 and p99 are those of
all requests together: a short turn's own p99 is decided by whether the machine happened to be slow in it.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from asking import Turn, pool
from ratios import Pairs, p99_ratio, percentile, rate_ratio
from servers import BATCHED, UNBATCHED

IN_PROCESS = "in process"
IN_PROCESS_CONCURRENCY = 16


@dataclass
class Round:
    """One round's turns, in the order of its passes: of each server and number of requests at once, and of the network
    alone for each batch size.
    """

    asked: dict[tuple[str, int], list[Turn]] = field(default_factory=dict)
    in_process: dict[int, list[Turn]] = field(default_factory=dict)


def summarise(rounds: Sequence[Round]) -> dict[str, Any]:
    """Return `servers` (by concurrency), `in_process` and `ratios` of all rounds."""
    servers: dict[str, list[dict[str, Any]]] = {}
    for name, concurrency in sorted(rounds[0].asked, key=lambda key: key[1]):
        turns = [round_.asked[name, concurrency] for round_ in rounds]
        by_round = [figures(pool(those)) | {"turns": list(map(dataclasses.asdict, those))} for those in turns]
        row = {"concurrency": concurrency} | figures(pool([turn for those in turns for turn in those]))
        row["per_second"] = round(statistics.median(found["per_second"] for found in by_round), 2)
        servers.setdefault(name, []).append(row | {"rounds": by_round})
    found: dict[str, Any] = {"servers": servers, "ratios": _ratios(rounds, list(servers))}
    if rounds[0].in_process:
        size = best_batch(rounds)
        rates = [round(pool(round_.in_process[size]).per_second, 2) for round_ in rounds]
        found["in_process"] = {"batch": size, "per_second": round(statistics.median(rates), 2), "rounds": rates}
    return found


def figures(turn: Turn) -> dict[str, Any]:
    """Return requests/s, how many were asked and failed, and the percentiles in ms."""
    return {
        "per_second": round(turn.per_second, 2),
        "requests": turn.requests,
        "failed": turn.failed,
        "p50_ms": round(percentile(turn.times_ms, 0.5), 2),
        "p99_ms": round(percentile(turn.times_ms, 0.99), 2),
    }


def best_batch(rounds: Sequence[Round]) -> int:
    """Return the batch size with which the network alone is fastest over all rounds: the best of
    each turn would be partly luck.
    """
    sizes = rounds[0].in_process
    return max(sizes, key=lambda size: pool([turn for r in rounds for turn in r.in_process[size]]).per_second)


def _ratios(rounds: Sequence[Round], names: list[str]) -> list[dict[str, Any]]:
    """Pair ours with what it is compared with: above 1 is good for requests/s, below 1 for p99."""
    concurrencies = sorted({concurrency for name, concurrency in rounds[0].asked if name == BATCHED})
    others = [(UNBATCHED, "unbatched"), *((name, name) for name in names if name not in (BATCHED, UNBATCHED))]
    found = []
    for concurrency in concurrencies:
        for other, label in others:
            pairs = _pairs(rounds, concurrency, [round_.asked[other, concurrency] for round_ in rounds])
            found.append(rate_ratio(f"requests/s, ours over {label}", concurrency, pairs))
            found.append(p99_ratio(f"p99, ours over {label}", concurrency, pairs))
    if rounds[0].in_process:
        size = best_batch(rounds)
        pairs = _pairs(rounds, IN_PROCESS_CONCURRENCY, [round_.in_process[size] for round_ in rounds])
        found.append(rate_ratio(f"requests/s, ours over {IN_PROCESS}", IN_PROCESS_CONCURRENCY, pairs))
    return found


def _pairs(rounds: Sequence[Round], concurrency: int, theirs: Sequence[list[Turn]]) -> Pairs:
    return [
        list(zip(r.asked[BATCHED, concurrency], other, strict=True)) for r, other in zip(rounds, theirs, strict=True)
    ]
