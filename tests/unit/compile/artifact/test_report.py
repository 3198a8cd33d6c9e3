"""A compile's report as a notebook shows it."""

from __future__ import annotations

from pathlib import Path

from ovenbird.artifact.report import CompileReport
from ovenbird_runtime.artifact.artifact import open_artifact
from support.tiny_artifact import tiny_artifact


def test_a_notebook_shows_what_was_written() -> None:
    manifest = open_artifact(tiny_artifact()).manifest
    report = CompileReport(
        Path("artifacts/<b>"),
        manifest,
        "torch",
        ("host",),
        {"sm90": "no <i>GPU</i>"},
        notes=("<script>",),
        seconds=12.34,
    )
    page = report._repr_html_()
    expected = ["tiny", "RANDOM WEIGHTS", "12.3 s", "host, against torch", "logits", "embedding", "MB"]
    assert [words for words in expected if words not in page] == []
    assert "<script>" not in page
    assert "no &lt;i&gt;GPU" in page
    assert "artifacts/&lt;b&gt;" in page
