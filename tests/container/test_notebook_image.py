"""The notebooks' container holds all that they need: one runs in it, as nobody, from its first cell to its last."""

from __future__ import annotations

import pytest

from support.baking import step


@pytest.mark.slow
def test_a_notebook_runs_in_its_container(bases: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BASE", bases["tools"])
    said = step("ci/steps/notebook.sh", "container", "execute", "--timeout=600", "classifier.ipynb")
    assert "building ovenbird/notebook with buildah" in said
