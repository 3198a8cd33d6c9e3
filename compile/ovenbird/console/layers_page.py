"""The layers of an artifact in markup: one bar of the whole time, and a table of each layer against the limit.

time_bar(profile.rows), layers_table(profile.rows)          # notebooks and `inspect --html`
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ovenbird_runtime.console.html import Html, bar, element, joined, table

COLOURS = (
    ("depthwise", "#e0a030"),
    ("winograd", "#2f7d6d"),
    ("conv", "#3a6ea5"),
    ("matmul", "#7a4fa0"),
    ("dense", "#7a4fa0"),
    ("attention", "#7a4fa0"),
    ("pool", "#6aa84f"),
    ("elementwise", "#b0b0b0"),
)
"""Of the kinds of layers that begin or go on so; the first that fits."""
OTHER = "#8a6d5a"
BAR_PIXELS = 960
LEAST_SHARE = 0.004
"""A layer below this share of the time has no piece of the bar of its own."""


def colour_of(kind: str) -> str:
    """Return the colour of a kind of layer."""
    return next((colour for part, colour in COLOURS if part in kind), OTHER)


def time_bar(rows: Sequence[dict[str, Any]]) -> Html:
    """Return the time of a run as one bar, a piece a layer, kinds together and the slowest first; a legend below."""
    kinds: dict[str, float] = {}
    for row in rows:
        kinds[row["kind"]] = kinds.get(row["kind"], 0.0) + row["time_share"]
    order = sorted(kinds, key=lambda kind: -kinds[kind])
    pieces = [
        element(
            "span",
            title=f"{row['name']}: {row['ms']:.3f} ms, {row['time_share']:.1%}",
            style=f"display:inline-block;height:34px;width:{100 * row['time_share']:.3f}%;box-sizing:border-box;"
            f"border-right:1px solid #fff8;background:{colour_of(kind)}",
        )
        for kind in order
        for row in rows
        if row["kind"] == kind and row["time_share"] >= LEAST_SHARE
    ]
    legend = [
        element(
            "span", f"{kind} {kinds[kind]:.1%}", style=f"border-left:12px solid {colour_of(kind)};padding:0 14px 0 5px"
        )
        for kind in order
        if kinds[kind] >= LEAST_SHARE
    ]
    whole = element("div", *pieces, style=f"max-width:{BAR_PIXELS}px;white-space:nowrap;font-size:0;background:#8883")
    return joined((whole, element("div", *legend, style="margin:6px 0;font-size:85%;line-height:1.8")))


def layers_table(rows: Sequence[dict[str, Any]], precisions: dict[str, str] | None = None) -> Html:
    """Return a row a layer: what it is, its time, its share of the machine's arithmetic, and what holds it back."""
    heads = ("layer", "kind", "output", "calls", "ms", "of the time", "of the limit", "precision", "schedule", "why")
    return table(heads, [_row(row, precisions or {}) for row in rows])


def _row(row: dict[str, Any], precisions: dict[str, str]) -> tuple[object, ...]:
    rated = row["gflops"] > 0
    return (
        element("span", row["name"], style="display:block;min-width:12em;overflow-wrap:anywhere"),
        element("span", row["kind"], style=f"border-left:10px solid {colour_of(row['kind'])};padding-left:5px"),
        "x".join(map(str, row["shape"])),
        row["calls"],
        f"{row['ms']:.3f}",
        _rated(row["time_share"], f"{row['time_share']:.1%}", "#c8501e"),
        _rated(row["limit_share"], f"{row['limit_share']:.0%}", "#3a6ea5") if rated else "",
        precisions.get(row["name"], ""),
        row["source"],
        element("span", row["reason"], style="display:block;min-width:12em"),
    )


def _rated(share: float, text: str, colour: str) -> Html:
    return element("span", bar(share, 60, colour), f" {text}", style="white-space:nowrap")
