"""The rows of an ablation as tables of Markdown.

print(ablation_page(Ablation.read(path)))
"""

from __future__ import annotations

from ovenbird.benchmarking.ablation.results import Ablation, AblationRow
from ovenbird.benchmarking.ablation.switches import SWITCHES
from ovenbird.benchmarking.report.markdown import spread_text, table

MIB = 1 << 20


def ablation_page(ablation: Ablation) -> str:
    """Return what `ovenbird bench --ablation` prints."""
    return "\n".join(["# Ablation", "", *ablation_lines(ablation), "", *side_lines(ablation)]) + "\n"


def ablation_lines(ablation: Ablation) -> list[str]:
    """Return where it was measured, the table of ratios, and what stands in each optimisation's place."""
    names, machine, settings = list(ablation.networks), ablation.machine, ablation.settings
    threads = f"{settings['threads']} thread{'s' if settings['threads'] > 1 else ''}"
    dates = sorted(row.date for row in ablation.rows)
    lines = [
        f"`{ablation.command}`",
        "",
        f"{dates[0] if dates else ''}; {machine['processor']}, {threads}, batch {settings['batch']}. How many times as "
        "long an image takes without the optimisation: median of the rounds' ratios (least–most), both artifacts in "
        "turn, each in a fresh process, its answers checked against the framework's.",
        "",
    ]
    switches = [switch for switch in SWITCHES if any(row.switch == switch for row in ablation.rows)]
    rows = [[SWITCHES[one].title, *(_cell(ablation.row(name, one)) for name in names)] for one in switches]
    lines += [*table(["without", *names], rows), ""]
    lines += [f"- {SWITCHES[one].title}: in its place {SWITCHES[one].instead}." for one in switches]
    lines += [
        f"- {row.network}, {SWITCHES[row.switch].title}: {row.note}." for row in ablation.rows if row.ratio is None
    ]
    lines += [
        f"- {name}: random weights ({known['weights_detail']})."
        for name, known in ablation.networks.items()
        if known["random"]
    ]
    return lines


def _cell(row: AblationRow | None) -> str:
    if row is None or row.ratio is None:
        return "" if row is None else "–"
    return spread_text(row.ratio)


def side_lines(ablation: Ablation) -> list[str]:
    """Return the table of both artifacts of each row: milliseconds, kernels, size, error."""
    rows = []
    for row in ablation.rows:
        if row.on is not None and row.off is not None:
            pairs = [
                (f"{side.ms.median:.2f}", str(side.kernels), f"{side.bytes / MIB:.1f}", f"{side.error:.0e}")
                for side in (row.on, row.off)
            ]
            cells = [f"{one} / {other}" for one, other in zip(*pairs, strict=True)]
            rows.append([f"{row.network}, {row.switch}", *cells])
    return table(["with / without", "ms", "kernels", "code and weights, MiB", "output error"], rows)
