"""The page of networks: docs/benchmarks/networks.md.

PAGE.write_text(page(results, {"torchvision:vit_h_14": "2.5 GB of weights"}, listed=197))
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from trying import RIGHT, Result

PAGE = Path(__file__).resolve().parents[2] / "docs/benchmarks/networks.md"
COLUMNS = (
    "network", "error", "compiled in, s", "processor, s", "compiler's peak, MB", "weights, MB", "artifact, MB",
    "kernels", "ours, ms", "ONNX Runtime, ms", "ratio", "quartiles",
)  # fmt: skip


def page(results: Sequence[Result], left_out: Mapping[str, str], listed: int) -> str:
    """Return the page as Markdown; `listed` is how many networks the command knows."""
    right = [one for one in results if one.outcome == RIGHT]
    others = [one for one in results if one.outcome != RIGHT]
    lines = ["<!-- Written by ci/networks; do not edit. -->", "# Networks of torchvision and timm", ""]
    lines += _summary(results, right, listed)
    for prefix, title in (("torchvision:", "torchvision"), ("timm:", "timm")):
        some = [one for one in right if one.name.startswith(prefix)]
        if some:
            lines += ["", f"## {title}", "", f"| {' | '.join(COLUMNS)} |", f"|---|{'---:|' * (len(COLUMNS) - 1)}"]
            lines += [_row(one, prefix) for one in some]
    if others:
        lines += ["", "## Not compiled", "", "| network | | why |", "|---|---|---|"]
        lines += [f"| {one.name} | {one.outcome} | {one.why.replace('|', ' ')} |" for one in others]
    untimed = [one for one in right if one.not_timed]
    if untimed:
        lines += ["", "## Not timed", "", *(f"- {one.name}: {one.not_timed}" for one in untimed)]
    if left_out:
        lines += ["", "## Left out", "", *(f"- {name}: {why}" for name, why in left_out.items())]
    return "\n".join(lines) + "\n"


def _summary(results: Sequence[Result], right: Sequence[Result], listed: int) -> list[str]:
    ratios = [one.ratio for one in right if one.ratio]
    chips, settings, commits = (sorted({*some} - {""}) for some in zip(*map(_origin, results), strict=True))
    lines = [
        "`make networks`: compile each with untrained weights at its own image size, untuned, in a process of its own;",
        "verify it against torch; time it and ONNX Runtime in one process, in blocks of calls in turn.",
        "",
        f"- {', '.join(chips)}; {'; '.join(settings)}.",
        "- With one thread, times are the processor's and may have been taken beside other work; so may the seconds of",
        "  compiling: the processor's are beside them.",
        "- Errors are the largest of any output, in units of what its answers differ by from input to input.",
        f"- Compiled at {', '.join(commits) or 'an unknown commit'}.",
        f"- {len(results)} of {listed} were tried: **{len(right)}** compiled and verified; {len(ratios)} were timed.",
    ]
    if ratios:
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        above = [one.name for one in right if one.ratio and one.ratio > 1.3]
        lines.append(
            f"- Our time by ONNX Runtime's: geometric mean of {len(ratios)} ratios **{mean:.3f}**, largest "
            f"{max(ratios):.2f}; above 1.3: {', '.join(above) or 'none'}."
        )
    if right:
        longest = max(right, key=lambda one: one.processor_seconds or 0)
        hungry = [one.name for one in right if (one.memory_share or 0) > 3]
        lines += [
            f"- The longest compile: {longest.name}, {longest.processor_seconds:.0f} s of the processor.",
            f"- The compiler took more than 1 GB and 3 times the weights for: {', '.join(hungry) or 'none'}.",
        ]
    return lines


def _origin(one: Result) -> tuple[str, str, str]:
    return one.chip, one.settings, one.commit


def _row(one: Result, prefix: str) -> str:
    cells = [
        one.name.removeprefix(prefix), f"{one.error:.0e}", f"{one.seconds:.0f}", f"{one.processor_seconds:.0f}",
        _mb(one.peak_bytes), _mb(one.weights_bytes), _mb(one.artifact_bytes), str(one.kernels or ""),
        _ms(one.ours_s), _ms(one.theirs_s), f"{one.ratio:.2f}" if one.ratio else "",
        "–".join(f"{value:.2f}" for value in one.quartiles or ()),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _mb(value: int | None) -> str:
    return "" if value is None else f"{value / 1e6:.0f}"


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value * 1e3:.2f}"
