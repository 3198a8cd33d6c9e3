"""The page of the captioner's benchmark, from what was measured: tables, and three plots next to it.

write_page(found, Path("captions.md"))      # and captions-sorted.png, captions-throughput.png, captions-batch.png

`found` is what load.py keeps; under `programs` it may have what programs.py measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]
HEAD = """<!-- Written by ci/captions; do not edit. -->
# Captions

`make load MODEL=git-base-textcaps`: GIT base (an encoder, a prefill, a step for each token) over HTTP, a JPEG in, a
caption of {tokens} tokens out, asked by Apache's `ab` on the same machine. {chip}, {processors} processors. Weights are
random: times do not depend on them.

- Ours is compiled with `--precision {precision}`: {stored} {engine_said} All others are f32 where nothing else is said.
- *ovenbird*: all captions in flight are written at once, up to 64; one joins at the next step.
- *ovenbird, one at a time*: the same server with `--max-batch 1`.
- *transformers + FastAPI*: `GitForCausalLM.generate` in torch, as most people serve it.
"""
STORED = {
    "f32": "as the others.",
    "f16": "the step's weights are stored as float16, all is computed in float32.",
    "bf16": "products with weights are of bfloat16, summed in float32; weights take two bytes.",
    "int8": "products with weights are of numbers of 8 bits, summed in 32; weights take a byte, states stay float32.",
}
ENGINES = {"native": "The native engine (C++) runs it.", "tvm": "TVM's virtual machine runs it."}
MANY, MANY_BAR = 16, 2.5
"""Callers, and how many times the captions a second of one caller they should get."""


def write_page(found: Mapping[str, Any], path: Path) -> None:
    """Write the page and its plots."""
    rows: list[Row] = list(found["cells"].values())
    asked, swept = [row for row in rows if not row["batch"]], [row for row in rows if row["batch"]]
    stored = STORED.get(found["precision"], "")
    lines = [HEAD.format(**found, stored=stored, engine_said=ENGINES[found.get("engine", "tvm")])]
    lines += _programs(found.get("programs", {}))
    lines += _many_callers(found.get("programs", {}), asked, int(found["tokens"]))
    for requests in sorted({row["requests"] for row in asked}):
        lines += [f"## {requests} requests", "", *_table([row for row in asked if row["requests"] == requests]), ""]
    if asked:
        lines += ["Response times, sorted; every request is a point.", "", f"![sorted]({path.stem}-sorted.png)", ""]
        lines += [f"![captions a second]({path.stem}-throughput.png)", ""]
        draw_sorted(asked, path.with_name(f"{path.stem}-sorted.png"))
        draw_lines(_by_server(asked), "concurrency", path.with_name(f"{path.stem}-throughput.png"))
    if swept:
        callers = swept[0]["concurrency"]
        lines += [f"## How many at a time, {callers} callers", "", *_table(swept, "batch", "at most"), ""]
        lines += [f"![by batch]({path.stem}-batch.png)", ""]
        draw_lines({"ovenbird": swept}, "batch", path.with_name(f"{path.stem}-batch.png"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines).rstrip("\n") + "\n", encoding="utf-8")


def _table(rows: Sequence[Row], key: str = "concurrency", head: str = "at once") -> list[str]:
    lines = [
        f"| server | {head} | captions/s | p50, ms | p99, ms | slowest, ms | failed | MiB |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in sorted(rows, key=lambda row: int(row[key])):
        slowest = max(row["times_ms"], default=0)
        lines.append(
            f"| {row['server'].split(', at most')[0]} | {row[key]} | {row['per_second']:.2f} | {row['p50_ms']:.0f} | "
            f"{row['p99_ms']:.0f} | {slowest} | {row['failed']} | {row['memory_mib']} |"
        )
    return lines


def _programs(found: Mapping[str, Any]) -> list[str]:
    """Return the table of the programs against other engines, and the bars."""
    if not found:
        return []
    engines = list(found["engines"])
    lines = ["## The programs, one caller", "", f"| ms | {' | '.join(engines)} |", f"|---|{'---:|' * len(engines)}"]
    for what, times in found["ms"].items():
        cells = [f"{times[engine]:.1f}" if engine in times else "" for engine in engines]
        lines.append(f"| {what} | {' | '.join(cells)} |")
    lines += ["", "| bar | ratio | quartiles | limit | |", "|---|---:|---:|---:|---|"]
    lines += [
        f"| {bar['what']} | {bar['ratio']:.2f} | {bar['low']:.2f}-{bar['high']:.2f} | {bar['limit']} | "
        f"{'holds' if bar['ratio'] <= bar['limit'] else 'does not hold'} |"
        for bar in found["bars"]
    ]
    return [*lines, "", *(f"- {note}" for note in found["notes"]), ""]


def _many_callers(programs: Mapping[str, Any], rows: Sequence[Row], tokens: int) -> list[str]:
    """Return what many callers get of one caller's captions a second, and what they could by the programs' times."""
    batched = [row for row in rows if row["server"] == "ovenbird" and row["concurrency"] in (1, MANY)]
    most = max((row["requests"] for row in batched), default=0)
    rate = {row["concurrency"]: row["per_second"] for row in batched if row["requests"] == most}
    if not programs or len(rate) < 2:
        return []
    encoder, prefill, one, many = (
        programs["ms"][what]["ovenbird"] for what in ("encoder", "prefill", "step of 1", f"step of {MANY}")
    )
    once, ratio = encoder + prefill, rate[MANY] / rate[1]
    could = (once + tokens * one) / (once + tokens * many / MANY)
    return [
        f"## {MANY} callers",
        "",
        f"They get {ratio:.2f} times the captions/s of one caller (bar: {MANY_BAR}, "
        f"{'holds' if ratio >= MANY_BAR else 'does not hold'}). By the programs' times alone it would be {could:.2f}: "
        f"each caption needs encoder and prefill, {once:.0f} ms of all processors that no batch makes cheaper, and "
        f"{tokens} steps, {tokens * one:.0f} ms for one caller, {tokens * many / MANY:.0f} ms where {MANY} share them. "
        f"With steps for nothing it would be {(once + tokens * one) / once:.2f}. What one caller waits for "
        "apart from the programs, decoding and HTTP, others overlap with them.",
        "",
    ]


def _by_server(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the rows of the most requests, by server."""
    most = max(row["requests"] for row in rows)
    found: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: int(row["concurrency"])):
        if row["requests"] == most:
            found.setdefault(row["server"], []).append(row)
    return found


def draw_sorted(rows: Sequence[Row], path: Path) -> None:
    """Draw each cell's response times in order: a panel for each number of requests and of callers."""
    counts, callers = (sorted({row[key] for row in rows}) for key in ("requests", "concurrency"))
    figure = _figure(3.2 * len(callers), 2.8 * len(counts))
    panels = figure.subplots(len(counts), len(callers), squeeze=False)
    for line, requests in zip(panels, counts, strict=True):
        for axes, concurrency in zip(line, callers, strict=True):
            axes.set_title(f"{requests} requests, {concurrency} at once", fontsize=9)
            for row in rows:
                if (row["requests"], row["concurrency"]) == (requests, concurrency):
                    axes.plot([time / 1000 for time in row["times_ms"]], ".", markersize=3, label=row["server"])
            axes.set_ylim(bottom=0)
            axes.grid(alpha=0.3)
    panels[0][0].set_ylabel("seconds")
    panels[0][0].legend(fontsize=7)
    figure.savefig(path, dpi=110)


def draw_lines(servers: Mapping[str, Sequence[Row]], key: str, path: Path) -> None:
    """Draw captions a second, and the p99, by `key`."""
    figure = _figure(8, 3.4)
    for axes, what, label in zip(
        figure.subplots(1, 2), ("per_second", "p99_ms"), ("captions/s", "p99, ms"), strict=True
    ):
        for server, rows in servers.items():
            axes.plot([row[key] for row in rows], [row[what] for row in rows], marker="o", label=server)
        ticks = sorted({row[key] for rows in servers.values() for row in rows})
        axes.set_xscale("log", base=2)
        axes.set_xticks(ticks, list(map(str, ticks)))
        axes.set(xlabel="requests at once" if key == "concurrency" else "sequences at most", ylabel=label)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
    figure.savefig(path, dpi=110)


def _figure(width: float, height: float) -> Any:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")
