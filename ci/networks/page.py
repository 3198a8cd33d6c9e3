"""The page of networks: docs/benchmarks/networks.md.

PAGE.write_text(page(results, {"torchvision:vit_h_14": "2.5 GB of weights"}, all_networks()))
"""

from __future__ import annotations

import math
import string
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from trying import RIGHT, Result

PAGE = Path(__file__).resolve().parents[2] / "docs/benchmarks/networks.md"
COLUMNS = (
    "network", "error", "compiled in, s", "processor, s", "compiler's peak, MB", "weights, MB", "artifact, MB",
    "kernels", "ours, ms", "ONNX Runtime, ms", "ratio", "quartiles", "on",
)  # fmt: skip


def page(results: Sequence[Result], left_out: Mapping[str, str], listed: Collection[str]) -> str:
    """Return the page as Markdown; `listed` are the networks that the command knows."""
    right = [one for one in results if one.outcome == RIGHT]
    others = [one for one in results if one.outcome != RIGHT]
    letters = dict(_chips(results))
    lines = ["<!-- Written by ci/networks; do not edit. -->", "# Networks of torchvision and timm", ""]
    lines += _summary(results, right, listed)
    for prefix, title in (("torchvision:", "torchvision"), ("timm:", "timm")):
        some = [one for one in right if one.name.startswith(prefix)]
        if some:
            lines += ["", f"## {title}", "", f"| {' | '.join(COLUMNS)} |", f"|---|{'---:|' * (len(COLUMNS) - 1)}"]
            lines += [_row(one, prefix, letters[one.chip]) for one in some]
    if others:
        lines += ["", "## Not compiled", "", "| network | | why |", "|---|---|---|"]
        lines += [f"| {one.name} | {one.outcome} | {one.why.replace('|', ' ')} |" for one in others]
    untimed = [one for one in right if one.not_timed]
    if untimed:
        lines += ["", "## Not timed", "", *(f"- {one.name}: {one.not_timed}" for one in untimed)]
    if left_out:
        lines += ["", "## Left out", "", *(f"- {name}: {why}" for name, why in left_out.items())]
    return "\n".join(lines) + "\n"


def _summary(results: Sequence[Result], right: Sequence[Result], listed: Collection[str]) -> list[str]:
    tried = sum(one.name in listed for one in results)
    lines = [
        "`make networks`: compile each with untrained weights at its own image size, untuned, in a process of its own;",
        "verify it against torch; time it and ONNX Runtime in one process, in blocks of calls in turn.",
        "",
        "- With one thread, times are the processor's and may have been taken while others worked, as may those of",
        "  compiling; the processor's are next to them.",
        "- Errors are the largest of any output, in units of what its answers differ by from input to input.",
        f"- {tried} of {len(listed)} were tried: **{len(right)}** compiled and verified;"
        f" {sum(one.ratio is not None for one in right)} were timed.",
    ]
    lines += [_of_chip(letter, chip, [one for one in results if one.chip == chip]) for chip, letter in _chips(results)]
    if right:
        longest = max(right, key=lambda one: one.processor_seconds or 0)
        hungry = [one.name for one in right if (one.memory_share or 0) > 3]
        lines += [
            f"- The longest compile: {longest.name}, {longest.processor_seconds:.0f} s of the processor.",
            f"- The compiler took more than 1 GB and 3 times the weights for: {', '.join(hungry) or 'none'}.",
        ]
    return lines


def _chips(results: Sequence[Result]) -> list[tuple[str, str]]:
    """Return the processors that results come from, each with a letter."""
    return list(zip(sorted({one.chip for one in results}), string.ascii_uppercase, strict=False))


def _of_chip(letter: str, chip: str, some: Sequence[Result]) -> str:
    """Return what was found on one processor: ratios of two processors make no common mean."""
    settings, commits = (", ".join(sorted({*values} - {""})) for values in zip(*map(_origin, some), strict=True))
    text = f"- {letter}: {chip}; {settings}; compiled at {commits or 'an unknown commit'}; {len(some)} networks."
    ratios = [one.ratio for one in some if one.ratio]
    if not ratios:
        return text
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    above = [one.name for one in some if one.ratio and one.ratio > 1.3]
    return (
        f"{text} Our time by ONNX Runtime's: geometric mean of {len(ratios)} ratios **{mean:.3f}**, largest "
        f"{max(ratios):.2f}; above 1.3: {', '.join(above) or 'none'}."
    )


def _origin(one: Result) -> tuple[str, str]:
    return one.settings, one.commit


def _row(one: Result, prefix: str, letter: str) -> str:
    cells = [
        one.name.removeprefix(prefix), f"{one.error:.0e}", f"{one.seconds:.0f}", f"{one.processor_seconds:.0f}",
        _mb(one.peak_bytes), _mb(one.weights_bytes), _mb(one.artifact_bytes), str(one.kernels or ""),
        _ms(one.ours_s), _ms(one.theirs_s), f"{one.ratio:.2f}" if one.ratio else "",
        "–".join(f"{value:.2f}" for value in one.quartiles or ()), letter,
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _mb(value: int | None) -> str:
    return "" if value is None else f"{value / 1e6:.0f}"


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value * 1e3:.2f}"
