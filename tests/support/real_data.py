"""Fixtures of real weights and real photographs, which are not ours to commit: import them in a conftest.py.

from support.real_data import photographs, real_resnet50, test_data

__all__ = ["photographs", "real_resnet50", "test_data"]
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEST_DATA = Path(os.environ.get("OVENBIRD_TEST_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real weights and photographs; skip where there is none."""
    if not (TEST_DATA / "README.md").is_file():
        pytest.skip(f"no real weights and photographs at {TEST_DATA} (set OVENBIRD_TEST_DATA)")
    return TEST_DATA


@pytest.fixture(scope="session")
def real_resnet50(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ResNet-50's real weights as a state_dict."""
    path = tmp_path_factory.mktemp("weights") / "resnet50.pth"
    expand = test_data / "resnet50" / "expand.py"
    subprocess.run([sys.executable, expand, path], check=True, capture_output=True, timeout=300)
    return path


@pytest.fixture(scope="session")
def photographs(test_data: Path) -> tuple[list[Path], list[int]]:
    """The hundred photographs and their classes."""
    folder = test_data / "photos" / "imagenet"
    with (folder / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 100
    return [folder / row["file"] for row in rows], [int(row["class_index"]) for row in rows]
