"""A tiny network of one's own, prepared once: artifact, ONNX files, inputs, reference."""

import os
import sys
from pathlib import Path

import pytest

from ovenbird.benchmarking.preparing import PrepareRequest
from ovenbird.benchmarking.worker_processes import run_preparing

ROOT = Path(__file__).resolve().parents[2]
SOURCE = """
import torch
from torch import nn


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.head = nn.Linear(16, 5)

    def forward(self, image):
        embedding = torch.relu(self.stem(image)).mean((2, 3))
        return {"logits": self.head(embedding), "embedding": embedding}


def network():
    return Tiny().eval(), (torch.zeros(1, 3, 24, 24),)
"""


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a user: with the module `tiny_net` in it."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "tiny_net.py").write_text(SOURCE, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def prepared(home: Path) -> Path:
    """The work folder of `tiny_net:network` at batch 1 and 2."""
    before, folder = Path.cwd(), home / "work" / "tiny_net_network"
    os.chdir(home)
    sys.path.insert(0, str(home))
    try:
        facts = run_preparing(PrepareRequest(str(folder), "tiny_net:network", (1, 2), quiet=True))
    finally:
        sys.path.remove(str(home))
        os.chdir(before)
    assert facts["onnx"] == {"1": "", "2": ""}
    return folder
