"""What a compile takes of the machine's memory: at most three times the weights, and a gigabyte."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

NETWORK = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    layers = nn.Linear(192, 5000), nn.ReLU(), nn.Linear(5000, 5000), nn.ReLU(), nn.Linear(5000, 10)
    return nn.Sequential(nn.Flatten(), *layers), torch.randn(1, 3, 8, 8)
"""
WEIGHTS = 4 * (192 * 5000 + 5000 * 5000 + 5000 * 10)
"""Bytes: 104 MB."""


def test_memory_is_bounded_by_the_weights(tmp_path: Path) -> None:
    (tmp_path / "heavy.py").write_text(NETWORK)
    command = [sys.executable, "-m", "ovenbird", "compile", "heavy.py:build", "-o", "art", "--quiet"]
    child = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0
    assert usage.ru_maxrss * 1024 < 3 * WEIGHTS + 1e9
