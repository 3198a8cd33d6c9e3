"""Each notebook runs from its first cell to its last, on what a clean clone holds, and shows what it promises."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
PROMISED = {
    "classifier": [
        "kernels after",
        "ms on one thread",
        "the three nearest are the same photograph",
        "of what answers differ by",
    ],
    "detectors_and_captions": ["verified for", "encode", "greedy:", "4 beams:"],
}
PICTURES = {"classifier": 4, "detectors_and_captions": 2}
"""Of matplotlib's or in markup, at least."""


@pytest.mark.slow
@pytest.mark.parametrize("name", PROMISED)
def test_it_runs_to_its_end(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("OVENBIRD_TEST_DATA", str(tmp_path / "nowhere"))
    packages = [str(ROOT / folder) for folder in ("compile", "runtime")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([*packages, os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    folder = {"metadata": {"path": str(ROOT / "notebooks")}}
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3", resources=folder).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    printed = "".join(output.get("text", "") for output in outputs)
    assert [words for words in PROMISED[name] if words not in printed] == []
    assert sum(map(is_picture, outputs)) >= PICTURES[name]
    assert not [output for output in outputs if output.output_type == "error"]


def is_picture(output: Any) -> bool:
    data = output.get("data", {})
    return "image/png" in data or "<svg" in data.get("text/html", "") or "<img" in data.get("text/html", "")
