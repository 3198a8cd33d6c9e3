"""`ovenbird distil` as people type it: a student learns, is compiled, and answers as its weights say."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from .conftest import Command

NETWORKS = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 4, 4, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.head = nn.Linear(width, 6)

    def forward(self, image):
        embedding = self.norm(self.conv(image)).relu().mean((2, 3))
        return {"logits": self.head(embedding), "embedding": embedding}


def made(width, seed, sharp):
    torch.manual_seed(seed)
    net = Net(width)
    with torch.no_grad():
        net.head.weight.mul_(sharp)
    return net.eval(), (torch.zeros(1, 3, 32, 32),)


def teacher():
    return made(24, 1, 20.0)


def student():
    return made(8, 2, 1.0)
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "distilled_nets.py").write_text(NETWORKS, encoding="utf-8")
    (tmp_path / "pictures").mkdir()
    draws = np.random.default_rng(0)
    for place in range(40):
        coarse = draws.integers(0, 255, (3, 3, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((40, 40)).save(tmp_path / "pictures" / f"{place}.png")
    return tmp_path


def student_of(home: Path) -> nn.Module:
    """Return the student as the module makes it."""
    spec = importlib.util.spec_from_file_location("distilled_nets", home / "distilled_nets.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    net, _ = module.student()
    assert isinstance(net, nn.Module)
    return net


@pytest.mark.slow
def test_a_student_learns_and_is_compiled(home: Path, ovenbird: Command) -> None:
    words = ["distil", "distilled_nets:teacher", "distilled_nets:student", "--images", "pictures", "-o", "small"]
    done = ovenbird(*words, "--minutes", "0.1", "--rate", "0.01", "--json", "-q", folder=home)
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert report["steps"] > 5
    assert report["held"] == 8
    assert report["after"]["divergence"] < report["before"]["divergence"]
    assert report["student_bytes"] < report["teacher_bytes"]

    learned = torch.load(home / "small.distil/student.pth", weights_only=True)
    image = np.random.default_rng(1).standard_normal((1, 3, 32, 32), dtype=np.float32)
    net = student_of(home)
    net.load_state_dict(learned)
    with torch.no_grad():
        wanted = net(torch.from_numpy(image))
    np.savez(home / "image.npz", image=image)
    done = ovenbird("run", "small", "--inputs", "image.npz", "--outputs", "answers.npz", folder=home)
    assert done.code == 0, done.err
    with np.load(home / "answers.npz") as answers:
        for name, value in wanted.items():
            np.testing.assert_allclose(answers[name], value.numpy(), atol=1e-4)
