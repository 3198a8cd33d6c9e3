"""An artifact as one page: everything that is known of it, nothing loaded, and what strangers wrote stays text."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ovenbird.artifact.layer_table import LAYERS, layers_bytes, layers_of
from ovenbird.benchmarking.artifact_profile import VariantProfile
from ovenbird.console.artifact_page import artifact_page
from ovenbird.console.layers_page import colour_of, layers_table, time_bar
from ovenbird.lowering.layers import LayerRecord
from ovenbird_runtime.artifact.artifact import open_artifact
from ovenbird_runtime.errors import FileChanged
from ovenbird_runtime.manifest.manifest import file_record
from support.tiny_artifact import copy_tiny, reseal, tiny_artifact

HOSTILE = '<script>alert("x")</script>\x1b[31m'


def row(name: str, share: float, **changes: Any) -> dict[str, Any]:
    """A row as `layer_profile.explain` makes it."""
    made = {
        "name": name,
        "calls": 2,
        "ms": share * 4,
        "bytes": 10,
        "output": [1, 8],
        "time_share": share,
        "kind": "conv2d",
    }
    made |= {
        "shape": [1, 8],
        "source": "default",
        "gflops": 10.0,
        "gbytes_per_s": 1.0,
        "limit_share": 0.4,
        "reason": "why",
    }
    return {**made, **changes}


def profile(*rows: dict[str, Any]) -> VariantProfile:
    return VariantProfile("tiny", 1, 1, "main", rows, {"gflops": 50.0, "gbytes_per_s": 9.0})


def with_layers(folder: Path, text: str) -> Path:
    """A copy of the tiny artifact with this table."""
    artifact = copy_tiny(folder)
    (artifact / LAYERS).write_text(text)
    record = file_record(artifact / LAYERS)
    reseal(artifact, lambda manifest: replace(manifest, files={**manifest.files, LAYERS: record}))
    return artifact


def test_records_come_back(tmp_path: Path) -> None:
    record = LayerRecord("conv", "conv2d", (1, 8, 4), 1000, {"main_b1": 2}, whole=True)
    artifact = with_layers(tmp_path, layers_bytes({"tiny": [record]}).decode())
    (found,) = layers_of(open_artifact(artifact))["tiny"].values()
    assert found == {
        "kind": "conv2d",
        "shape": [1, 8, 4],
        "flops": 1000,
        "calls": {"main_b1": 2},
        "source": "default",
        "whole": True,
    }


def test_an_artifact_without_records_has_none() -> None:
    assert layers_of(open_artifact(tiny_artifact())) == {}


@pytest.mark.parametrize("text", ["{", "[]", '{"tiny": []}', '{"tiny": {"f": {"kind": 1}}}'])
def test_a_spoilt_table_is_refused(tmp_path: Path, text: str) -> None:
    artifact = with_layers(tmp_path, text)
    with pytest.raises(FileChanged, match=r"layers\.json"):
        layers_of(open_artifact(artifact))


def test_the_page_says_everything() -> None:
    opened = open_artifact(tiny_artifact())
    text = artifact_page(opened, [profile(row("slow", 0.75), row("quick", 0.25, gflops=0.0, reason=""))])
    manifest = opened.manifest
    expected = [manifest.model.name, manifest.digest, "signed", "Parity", "4.00 ms for a batch of 1"]
    expected += [spec.name for spec in (*manifest.inputs, *manifest.outputs)]
    expected += ["slow", "quick", "75.0%", "40%", "50 GFLOP/s and 9 GB/s"]
    assert [part for part in expected if part not in text] == []
    assert not re.search(r"(src|href)=|url\(|<script|@import", text), "the page loads nothing"


def test_what_strangers_wrote_stays_text(tmp_path: Path) -> None:
    artifact = copy_tiny(tmp_path)
    reseal(
        artifact, lambda manifest: replace(manifest, model=replace(manifest.model, licence=HOSTILE.replace("\x1b", "")))
    )
    hostile = row(HOSTILE, 1.0, kind=HOSTILE, source=HOSTILE, reason=HOSTILE)
    text = artifact_page(open_artifact(artifact), [profile(hostile), VariantProfile("other", 1, why_not=HOSTILE)])
    assert "<script" not in text
    assert "\x1b" not in text
    assert text.count("&lt;script&gt;") >= 6


def test_a_variant_that_was_not_timed_says_why() -> None:
    text = artifact_page(open_artifact(tiny_artifact()), [VariantProfile("tiny", 1, why_not="no GPU here")])
    assert "Not timed: no GPU here" in text


def test_pieces_of_the_bar_are_shares_of_the_time() -> None:
    rows = [row("a", 0.6), row("b", 0.3, kind="pool2d"), row("c", 0.099), row("d", 0.001)]
    found = re.findall(r'title="(\w): [^"]*"[^>]*width:([\d.]+)%[^>]*background:(#\w+)', time_bar(rows))
    assert found == [
        ("a", "60.000", colour_of("conv2d")),
        ("c", "9.900", colour_of("conv2d")),
        ("b", "30.000", colour_of("pool2d")),
    ]
    assert "conv2d 70.0%" in time_bar(rows)


def test_precisions_stand_at_their_layers() -> None:
    table = layers_table([row("a", 0.6), row("b", 0.4)], {"a": "int8"})
    assert table.count(">int8<") == 1
