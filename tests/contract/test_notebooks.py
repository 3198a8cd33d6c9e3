"""Notebooks are kept without what they printed: a run's outputs are this machine's, and make changes unreadable."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def test_there_are_notebooks() -> None:
    assert len(NOTEBOOKS) >= 2


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stripped(path: Path) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    code = [cell for cell in document["cells"] if cell["cell_type"] == "code"]
    kept = [cell["id"] for cell in code if cell["outputs"] or cell["execution_count"] is not None or cell["metadata"]]
    assert kept == [], "jupyter nbconvert --clear-output --inplace notebooks/*.ipynb"
    assert document["metadata"]["kernelspec"]["name"] == "python3"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_checks_itself(path: Path) -> None:
    """Executing it is a test (tests/e2e/notebooks): so its cells assert."""
    assert sum(line.lstrip().startswith("assert ") for line in path.read_text().replace('"', "").splitlines()) >= 4
