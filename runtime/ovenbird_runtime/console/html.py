"""Markup for notebooks and reports, safe as it is made: what is no markup yet is escaped where it becomes some.

    element("td", "<script>", style="color:red")       # <td style="color:red">&lt;script&gt;</td>
    table(("class", "share"), [("tabby", "61.2 %")])

Styles stand at the elements: a notebook keeps no style sheets of ours.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence

from ..errors import one_line

_CELL = "padding:2px 10px 2px 0;text-align:left;border:0;font-variant-numeric:tabular-nums"


class Html(str):
    """Markup: it is taken as it is."""

    __slots__ = ()


def escaped(value: object) -> Html:
    """Return markup as it is, anything else as text of one line: control characters and markup in it are shown."""
    return value if isinstance(value, Html) else Html(html.escape(one_line(str(value))))


def element(tag: str, *children: object, **attributes: object) -> Html:
    """Return an element; a trailing underscore of an attribute's name goes, the others become hyphens."""
    named = "".join(f' {name.rstrip("_").replace("_", "-")}="{escaped(value)}"' for name, value in attributes.items())
    return Html(f"<{tag}{named}>{joined(children)}</{tag}>")


def joined(children: Iterable[object]) -> Html:
    """Return the children's markup, one after the other."""
    return Html("".join(map(escaped, children)))


def table(heads: Sequence[object], rows: Iterable[Sequence[object]]) -> Html:
    """Return a table with a line of heads, where there are some."""
    first = [element("tr", *(element("th", head, style=_CELL) for head in heads))] if heads else []
    body = [element("tr", *(element("td", cell, style=_CELL) for cell in row)) for row in rows]
    return element("table", *first, *body, style="border-collapse:collapse;border:0;margin:4px 0")


def bar(share: float, width: int = 120, colour: str = "#c8501e") -> Html:
    """Return a bar of `share`, held between 0 and 1, of `width` pixels."""
    filled = round(width * min(max(share, 0.0), 1.0)) if share == share else 0
    inner = element("span", style=f"display:inline-block;width:{filled}px;height:9px;background:{colour}")
    return element("span", inner, style=f"display:inline-block;width:{width}px;background:#8883;line-height:0")


def picture(data: bytes, kind: str, alternative: str) -> Html:
    """Return an image whose file is part of the page."""
    source = f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
    return Html(f'<img src="{source}" alt="{escaped(alternative)}" style="max-width:100%">')
