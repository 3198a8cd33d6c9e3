"""The page of what was held: docs/benchmarks/equality.md, and the record that it is made of.

PAGE.write_text(page(recorded(Path("build/equality"), ["resnet18"], photographs(...))))
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from machines import MACHINES
from photographs import Photographs
from trying import Found, read

PAGE = Path(__file__).resolve().parents[2] / "docs/benchmarks/equality.md"
RECORD = PAGE.with_suffix(".json")


def recorded(results: Path, names: Sequence[str], pictures: Photographs) -> Found:
    """Return what was found, in the order of names, next to the photographs that it was found on."""
    networks = [found for name in names if (found := read(results / f"{name}.json"))]
    pipelines = list((read(results / "pipelines.json") or {}).values())
    untried = [name for name in names if not (results / f"{name}.json").is_file()]
    return {
        "photographs": len(pictures.paths), "views": pictures.views, "networks": networks,
        "pipelines": pipelines, "untried": untried,
    }  # fmt: skip


def page(found: Found) -> str:
    """Return the page as Markdown."""
    columns = [machine.name for machine in MACHINES]
    networks, pipelines = found["networks"], found["pipelines"]
    outputs = sum(one["outputs"] for network in networks for one in network["held"].values())
    differ = sum(len(one["differ"]) for network in networks for one in network["held"].values())
    pixels = sum(one["photographs"] for pipeline in pipelines for one in pipeline["held"].values())
    other = sum(len(one["differ"]) for pipeline in pipelines for one in pipeline["held"].values())
    lines = [
        "<!-- Written by ci/equality; do not edit. -->",
        "# The C++ runtime's outputs are the Python runtime's",
        "",
        "`.venv/bin/python ci/equality`: both runtimes, Python's on TVM's virtual machine, run the same code on",
        "the same tensors; each output's sha256 is compared.",
        "",
        f"- **{outputs:,} outputs, {differ} differ**; {pixels:,} tensors of pixels, {other} differ.",
        f"- {found['photographs'] - found['views']} photographs, and {found['views']} views of them: mirrored, without"
        " their margins.",
        "- A cell says on how many photographs each batch size was held (1 and 8 with one thread; where no emulator"
        " runs it, 1 with two as well).",
        "- x86-64-v2, v3 and v4 run on the processor itself. *On* another processor is qemu's emulation of it: of"
        " x86-64 the C++ side alone, of ARM both.",
        "",
        f"| network | {' | '.join(columns)} |",
        f"|---|{'---:|' * len(columns)}",
    ]
    for network in networks:
        lines.append(f"| {network['name']} | {' | '.join(_cell(network, column) for column in columns)} |")
    kinds = sorted({machine for one in pipelines for machine in one["held"]}, reverse=True)
    lines += ["", "## Pipelines", "", f"| pipeline | {' | '.join(kinds)} |", f"|---|{'---:|' * len(kinds)}"]
    lines += [f"| {one['name']} | {' | '.join(_cell(one, kind) for kind in kinds)} |" for one in pipelines]
    if found["untried"]:
        lines += ["", f"Not held yet: {', '.join(found['untried'])}."]
    return "\n".join(lines) + "\n"


def _cell(network: Found, column: str) -> str:
    one = network["held"].get(column, {"photographs": 0, "differ": []})
    wrong = f", **{len(one['differ'])} differ**" if one["differ"] else ""
    return f"{one['photographs'] or ''}{wrong}"
