"""Rows of an ablation: kept, read again, shown, and not mixed with those of elsewhere."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from ovenbird.benchmarking.ablation.results import Ablation, AblationRow, MeasuredSide, measured_row
from ovenbird.benchmarking.ablation.switches import SWITCHES, parse_switches
from ovenbird.benchmarking.ablation.table import ablation_lines, ablation_page
from ovenbird.benchmarking.report.statistics import spread
from ovenbird.errors import UsageError

ON, OFF = [10.0, 20.0, 10.0], [15.0, 40.0, 25.0]
SETTINGS = {"threads": 1, "batch": 1, "target": "host", "weights": None}


def found() -> Ablation:
    row = AblationRow("net", "winograd", "2026-01-02 03:04 UTC")
    sides = (MeasuredSide(spread(ON), 1e-6, 12, 3 << 20), MeasuredSide(spread(OFF), 2e-6, 14, 2 << 20))
    rows = [measured_row(row, sides, (ON, OFF)), AblationRow("net", "tuning", row.date, note="no tuning records")]
    machine = {"processor": "a chip"}
    return Ablation("ovenbird bench net --ablation", machine, SETTINGS, {"net": {"random": False}}, rows)


def test_the_ratio_is_paired_by_round() -> None:
    row = found().row("net", "winograd")
    assert row is not None
    assert row.ratio == spread([1.5, 2.0, 2.5])


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "ablation.json"
    path.write_text(found().to_json(), encoding="utf-8")
    assert Ablation.read(path) == found()


@pytest.mark.parametrize("text", ["{}", "[]", '{"schema": 2, "rows": []}', "no JSON"])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ablation.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="is not what --ablation writes"):
        Ablation.read(path)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"machine": {"processor": "another chip"}}, "was measured on a chip, this is another chip"),
        ({"settings": {**SETTINGS, "threads": 2}}, "was measured with threads 1, not 2"),
    ],
)
def test_rows_of_elsewhere_are_not_added_to(other: dict[str, dict[str, object]], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        found().require_like(dataclasses.replace(found(), **other), Path("ablation.json"))


def test_table() -> None:
    lines = ablation_lines(found())
    assert "| Winograd's algorithm | 2.00 (1.50–2.50) |" in lines
    assert "| Tuning records | – |" in lines
    assert "- net, Tuning records: no tuning records." in lines
    assert f"- Winograd's algorithm: in its place {SWITCHES['winograd'].instead}." in lines
    assert "| net, winograd | 10.00 / 25.00 | 12 / 14 | 3.0 / 2.0 | 1e-06 / 2e-06 |" in ablation_page(found())


def test_switches_by_name() -> None:
    assert [switch.name for switch in parse_switches("tuning, folding")] == ["tuning", "folding"]
    assert len(parse_switches(None)) == len(SWITCHES)
    with pytest.raises(UsageError, match="no optimisation 'winogrd'; did you mean winograd"):
        parse_switches("winogrd")
