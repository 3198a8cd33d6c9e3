"""The command that compiles ONNX's node tests: its table, its exit code, and the list that must not shrink."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
COMMAND = ROOT / "ci/onnx_nodes"


def test_the_list_of_right_tests_is_in_order() -> None:
    names = (COMMAND / "right.txt").read_text(encoding="utf-8").splitlines()
    assert names == sorted(set(names))
    assert len(names) > 1000


@pytest.mark.slow
def test_an_operator_comes_out_right() -> None:
    done = subprocess.run(
        [sys.executable, str(COMMAND), "Tile", "Mish", "--jobs", "1"], capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stdout
    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}
    assert rows["Tile"] == ["2"]
    assert rows["all"] == ["4", "100.0%", "right"]


@pytest.mark.slow
def test_files_of_other_converters_come_out_right() -> None:
    words = ("tensorflow", "paddle", "older", "mask-torchscript17", "--jobs", "1")
    done = subprocess.run(
        [sys.executable, str(COMMAND / "exporters.py"), *words], capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stdout
    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}
    assert rows["all"] == ["14", "100.0%", "right"]
