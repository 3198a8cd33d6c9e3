"""Requests/s and p99 against the number of requests at once, as PNG.

plot(result["servers"], Path("build/load"))     # throughput.png, latency.png
"""

from __future__ import annotations

from pathlib import Path
from typing import Any


def plot(servers: dict[str, list[dict[str, Any]]], folder: Path) -> None:
    """Draw each server's figures over all rounds, with the rounds' range as a band."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    for key, label, name in (("per_second", "requests/s", "throughput"), ("p99_ms", "p99 in ms", "latency")):
        figure = Figure(figsize=(7, 4.2), layout="constrained")
        axes = figure.add_subplot(xlabel="requests at once", ylabel=label)
        for server, rows in servers.items():
            at = [row["concurrency"] for row in rows]
            axes.plot(at, [row[key] for row in rows], marker="o", label=server)
            values = [[turn[key] for turn in row["rounds"]] for row in rows]
            axes.fill_between(at, list(map(min, values)), list(map(max, values)), alpha=0.15)
        axes.set_xscale("log", base=2)
        ticks = sorted({row["concurrency"] for rows in servers.values() for row in rows})
        axes.set_xticks(ticks, list(map(str, ticks)))
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend()
        figure.savefig(folder / f"{name}.png", dpi=120)
