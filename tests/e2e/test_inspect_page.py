"""`ovenbird inspect --html`: one page with the time of every layer that was compiled; changed code is not run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow  # measures the machine's limits


def test_the_page_times_each_layer(ovenbird: Callable[..., Any], compiled: Callable[..., Path], tmp_path: Path) -> None:
    artifact, page = compiled("networks:detector"), tmp_path / "report.html"
    done = ovenbird("inspect", artifact, "--html", page, "--threads", "1", "--quiet", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["manifest"]
    layers = json.loads((artifact / "evidence/layers.json").read_text())["host"]
    assert any(layer["flops"] > 0 for layer in layers.values())
    text = page.read_text(encoding="utf-8")
    assert [
        name
        for name, layer in layers.items()
        if any(entry.endswith("b1") for entry in layer["calls"]) and name not in text
    ] == []
    assert "ms for a batch of 1 (program main, 1 thread)" in text
    assert "Not timed" not in text


def test_code_that_was_changed_is_not_run(
    ovenbird: Callable[..., Any], compiled: Callable[..., Path], tmp_path: Path
) -> None:
    artifact, page = tmp_path / "changed", tmp_path / "report.html"
    shutil.copytree(compiled("networks:detector"), artifact)
    library = artifact / "targets/host/model.so"
    data = bytearray(library.read_bytes())
    data[-1] ^= 1
    library.write_bytes(data)
    assert ovenbird("inspect", artifact, "--html", page, "--quiet").code == 0
    assert "Not timed: FileChanged" in page.read_text(encoding="utf-8")
    done = ovenbird("inspect", artifact, "--html", tmp_path / "nowhere" / "page.html", "--quiet")
    assert done.code == 1
    assert "page.html" in done.error
