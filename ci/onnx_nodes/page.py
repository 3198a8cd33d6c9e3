"""The page of the documentation that says what became of ONNX's node tests.

    PAGE.write_text(page(outcomes, vision))

`outcomes` have an operator, a result ("right", "refused", ...) and why.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
from worker import REFUSED, RIGHT

PAGE = Path(__file__).parents[2] / "docs/reference/onnx-operators.md"

HEAD = """<!-- Written by `ci/onnx_nodes --write`; do not edit. -->

# ONNX operators

ONNX's own tests of its operators (onnx {version}), each compiled as a network for this machine. Right: dtype, shape and
values of every output are the test's. Refused: `compile` ends with one line that names the operator. Parameters (axes,
shapes, weights) are constants, as exporters write them. Left out are tests of text, of bfloat16, of dtypes of less than
8 bits, and of what is drawn at random. `ci/onnx_nodes/vision_operators.toml` lists the operators of vision networks.

| operators | tests | right | refused | wrong or crashed | |
|---|---:|---:|---:|---:|---:|
"""


def page(outcomes: Sequence[Any], vision: set[str]) -> str:
    """Return the page."""
    counts: dict[str, Counter[str]] = {}
    reasons: dict[str, str] = {}
    for each in outcomes:
        counts.setdefault(each.case.operator, Counter())[each.result] += 1
        if each.result != RIGHT:
            reasons.setdefault(each.case.operator, reason(each.why))
    groups = {
        "of vision networks": [operator for operator in counts if operator in vision],
        "others": [operator for operator in counts if operator not in vision],
        "all": list(counts),
    }
    lines = [HEAD.format(version=onnx.__version__).rstrip("\n")]
    lines += [row(name, sum((counts[operator] for operator in group), Counter())) for name, group in groups.items()]
    whole = [f"`{operator}`" for operator in sorted(counts) if not counts[operator].keys() - {RIGHT}]
    lines += ["", f"Right in every test are {len(whole)} operators:", "", *wrapped(whole), ""]
    lines += ["| others | right | not | why, of the first |", "|---|---:|---:|---|"]
    for operator in sorted(reasons):
        right = counts[operator][RIGHT]
        lines.append(f"| `{operator}` | {right} | {counts[operator].total() - right} | {reasons[operator]} |")
    return "\n".join(lines) + "\n"


def row(name: str, counts: Counter[str]) -> str:
    """Return a line of the totals."""
    total, right, refused = counts.total(), counts[RIGHT], counts[REFUSED]
    share = right / max(total, 1)
    return f"| {name} | {total} | {right} | {refused} | {total - right - refused} | {share:.1%} right |"


def reason(why: str) -> str:
    """Return why a test is not right, without the error's type and the test's file."""
    text = re.sub(r"^\w+: ", "", why)
    return re.sub(r"\S*/net\.onnx: ", "", text).replace("|", "\\|")


def wrapped(words: Sequence[str], width: int = 118) -> list[str]:
    """Return words with commas in lines of at most `width` characters."""
    lines = [""]
    for index, word in enumerate(words):
        text = word + ("." if index == len(words) - 1 else ",")
        if lines[-1] and len(lines[-1]) + 1 + len(text) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {text}".strip()
    return lines
