"""What the notebooks draw: operators of a program as a graph and as a strip, pixels between steps, galleries.

operators = read_operators(Path("network.code/host/prepared.relax"))
graph(operators[:12])           # SVG, for a notebook
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ovenbird.console.layers_page import colour_of
from ovenbird_runtime.console.html import Html, element, joined
from ovenbird_runtime.manifest.steps import Normalise
from ovenbird_runtime.preprocess.interpreted import apply

_LINE = re.compile(r"\s+(\w+)(?:: (.+?))? = (\S.*)")
_FREE = {"memory.alloc_storage", "memory.alloc_tensor", "shape", "tuple"}


@dataclass(frozen=True)
class Operator:
    """One binding of a Relax program: its variable, what is called, what it reads, the shape of its result."""

    name: str
    kind: str
    reads: tuple[str, ...]
    shape: tuple[int, ...]


def read_operators(path: Path) -> list[Operator]:
    """Return the operators of the first program in a file that `--dump-code relax` wrote, in order."""
    text = path.read_text(encoding="utf-8")
    body = text.split("with R.dataflow():", 1)[1].split("R.output(", 1)[0]
    found: list[Operator] = []
    same: dict[str, str] = {}  # an element of a tuple is what the tuple is
    for line in body.splitlines():
        if (match := _LINE.match(line)) is None:
            continue
        name, kept, value = match[1], match[2] or "", match[3]
        shape = re.search(r"R\.Tensor\(\(([\d, ]*)\)", kept or value)
        if taken := re.fullmatch(r"(\w+)\[\d+\]", value):
            same[name] = same.get(taken[1], taken[1])
            continue
        called = re.match(r"R\.call_tir\((?:cls\.)?(\w+)|R\.([\w.]+)\(|(\w+)", value)
        kind = (called[1] or called[2] or called[3]) if called else value
        names = {one.name for one in found}
        reads = [same.get(word, word) for word in re.findall(r"\b\w+\b", value)]
        extents = tuple(int(part) for part in re.findall(r"\d+", shape[1] if shape else ""))
        if kind not in _FREE and kind != name:
            found.append(Operator(name, kind, tuple(dict.fromkeys(one for one in reads if one in names)), extents))
    return found


def strip(operators: Sequence[Operator], columns: int = 48) -> Html:
    """Return the operators as small squares in reading order, coloured by kind."""
    squares = [
        element("span", title=f"{one.kind} {one.shape}", style="display:inline-block;width:16px;height:16px;margin:1px;"
                f"background:{colour_of(one.kind)}") for one in operators
    ]  # fmt: skip
    return element("div", *squares, style=f"max-width:{18 * columns}px;line-height:0")


def graph(operators: Sequence[Operator]) -> Html:
    """Return the operators as an SVG, each below all that it reads."""
    depth: dict[str, int] = {}
    for one in operators:
        depth[one.name] = 1 + max((depth[name] for name in one.reads if name in depth), default=-1)
    rows: dict[int, int] = {}
    place: dict[str, tuple[int, int]] = {}
    for one in operators:
        column = rows.get(depth[one.name], 0)
        rows[depth[one.name]] = column + 1
        place[one.name] = (10 + 330 * column, 10 + 44 * depth[one.name])
    arrows = [
        element("line", x1=place[name][0] + 150, y1=place[name][1] + 28, x2=place[one.name][0] + 150,
                y2=place[one.name][1], stroke="#888", stroke_width=1.5)
        for one in operators for name in one.reads if name in place
    ]  # fmt: skip
    boxes = [
        joined((
            element("rect", x=place[one.name][0], y=place[one.name][1], width=300, height=28, rx=4,
                    fill=colour_of(one.kind)),
            element("text", f"{one.kind}  {'x'.join(map(str, one.shape))}", x=place[one.name][0] + 8,
                    y=place[one.name][1] + 19, fill="#fff", font_size=12, font_family="sans-serif"),
        )) for one in operators
    ]  # fmt: skip
    width, height = 20 + 330 * max(rows.values()), 20 + 44 * (max(depth.values()) + 1)
    return element("svg", *arrows, *boxes, width=width, height=height, xmlns="http://www.w3.org/2000/svg")


def side_by_side(*parts: tuple[str, Html]) -> Html:
    """Return parts with their titles, next to each other."""
    columns = [
        element("div", element("b", title), element("div", part), style="padding-right:30px") for title, part in parts
    ]
    return element("div", *columns, style="display:flex;flex-wrap:wrap;align-items:flex-start")


def pixels_after(pipeline: Sequence[Any], image: Any, seed: int = 0) -> list[tuple[str, Any]]:
    """Return the photograph after each step of a pipeline but the last, which makes numbers of it: names and arrays."""
    plain = Normalise(mean=(0.0,), std=(1.0,))
    found = [("the photograph", np.asarray(image))]
    for count in range(1, len(pipeline)):
        tensor = apply((*pipeline[:count], plain), image, seed)
        found.append((pipeline[count - 1].step, (tensor.transpose(1, 2, 0) * 255).round().astype(np.uint8)))
    return found


def show_images(titled: Sequence[tuple[str, Any]], columns: int = 5, side: float = 2.6) -> Any:
    """Draw arrays or pictures with their titles and their true sizes as ticks."""
    from matplotlib import pyplot

    rows = -(-len(titled) // columns)
    figure, places = pyplot.subplots(rows, columns, figsize=(side * columns, side * rows), squeeze=False)
    for place in places.flat:
        place.axis("off")
    for place, (title, image) in zip(places.flat, titled, strict=False):
        array = np.asarray(image)
        place.imshow(array)
        place.set_title(f"{title}\n{array.shape[1]}x{array.shape[0]}", fontsize=9)
    figure.tight_layout()
    pyplot.close(figure)  # the cell shows what it displays, once
    return figure
