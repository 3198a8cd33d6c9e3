"""The page of `torch.compile`: docs/benchmarks/torch-compile.md.

PAGE.write_text(page(rows, classifiers()))
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from pathlib import Path

from rows import Row

PAGE = Path(__file__).resolve().parents[2] / "docs/benchmarks/torch-compile.md"
WARM_S = 1.5
"""What the second process is meant to wait for, at most."""
COLUMNS = (
    "network", "graphs", "left to torch", "error", "warm, s", "of it ours, s", "processor, s",
    "ours, ms", "peer, ms", "ratio", "quartiles",
)  # fmt: skip


def page(rows: Sequence[Row], listed: Collection[str]) -> str:
    """Return the page as Markdown; `listed` are the networks that the command knows."""
    lines = [
        "<!-- Written by ci/torch_compile; do not edit. -->",
        "# torchvision's classifiers under `torch.compile`",
        "",
        '`ci/torch_compile`: each under `torch.compile(backend="ovenbird")` with untrained weights, one image of its',
        "own size, in a process of its own; then in a second one, which finds the code in the cache.",
        "",
        "- *Error*: the largest of an answer, by the answers' spread, against torch itself.",
        "- *Warm*: seconds from `torch.compile` to the first answer in the second process, without the imports of",
        "  torch and torchvision. What is not ours is Dynamo's, which traces. *Processor* is what all of it took of",
        "  the processors: where that is less, other work ran on the machine.",
        "- *Ratio*: our time by the peer's, both called in turns in one process, the median of blocks; with one thread",
        "  of the processor's time, which may have been taken while others worked.",
        *_found(rows, listed),
        "",
        f"| {' | '.join(COLUMNS)} |",
        f"|---|{'---:|' * (len(COLUMNS) - 1)}",
        *map(_row, rows),
    ]
    wrong = [row for row in rows if row.why]
    if wrong:
        lines += ["", "## Not right, or not whole", "", *(f"- {row.network}: {row.why}" for row in wrong)]
    return "\n".join(lines) + "\n"


def _found(rows: Sequence[Row], listed: Collection[str]) -> list[str]:
    """Return what the rows say together."""
    right = [row for row in rows if not row.why]
    tried = sum(row.network in listed for row in rows)
    chips = ", ".join(sorted({row.chip for row in rows}))
    commits = ", ".join(sorted({row.commit for row in rows} - {""}))
    lines = [f"- {chips}; at {commits}. {tried} of {len(listed)} were tried: **{len(right)}** are right and whole."]
    warm = [row for row in right if row.warm_s is not None]
    if warm:
        slow = [row.network for row in warm if (row.processor_s or 0) >= WARM_S]
        mean = _mean([row.processor_s or 0 for row in warm])
        lines.append(
            f"- Warm, geometric mean of the processor's seconds **{mean:.2f}**; not within {WARM_S}: "
            f"{', '.join(slow) or 'none'}."
        )
    timed = [row for row in right if row.ratio is not None]
    for peer, threads in sorted({(row.peer, row.threads) for row in timed}):
        ratios = [row.ratio or 0 for row in timed if (row.peer, row.threads) == (peer, threads)]
        lines.append(
            f"- {len(ratios)} timed with {peer} ({threads} threads): geometric mean of our time by its "
            f"**{_mean(ratios):.2f}**, largest {max(ratios):.2f}."
        )
    return lines


def _mean(values: Sequence[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


def _row(row: Row) -> str:
    cells = [
        row.network, str(row.compiled), str(row.eager), "" if row.error is None else f"{row.error:.0e}",
        _number(row.warm_s), _number(row.ours_s), _number(row.processor_s),
        _number(row.own_ms), _number(row.peer_ms), _number(row.ratio), "–".join(map(_number, row.quartiles or ())),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _number(value: float | None, digits: int = 2) -> str:
    return "" if value is None else f"{value:.{digits}f}"
