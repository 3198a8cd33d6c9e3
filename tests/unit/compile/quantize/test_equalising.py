"""Channels of very different sizes before a depthwise convolution: scaled alike, and taken back behind it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ovenbird.networks.importing import import_exported
from ovenbird.quantize import equalising
from ovenbird.quantize.calibrating import Quantizer, folded
from ovenbird.quantize.equalising import choose_factors, find_pair, scaled
from ovenbird.quantize.observing import Observer
from ovenbird.quantize.points import choose_points
from ovenbird.quantize.ranges import Seen
from ovenbird_runtime.tensors.arrays import Array


class Separable(nn.Module):
    """Two depthwise convolutions in a row, the first one padded apart, of channels from 1/100 to 1."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.stem, self.activation = nn.Conv2d(3, 16, 3, bias=False), activation
        self.norm = nn.BatchNorm2d(16)
        self.first, self.second = (nn.Conv2d(16, 16, 3, groups=16) for _ in range(2))
        self.last = nn.Conv2d(16, 8, 1)
        with torch.no_grad():
            sizes = torch.logspace(-2, 0, 16)
            self.norm.weight.copy_(4 * sizes)
            self.norm.bias.copy_(2 * sizes)
            self.first.weight.div_(sizes[:, None, None, None])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.pad(self.activation(self.norm(self.stem(x))), (1, 1, 1, 1))
        return self.last(self.second(self.activation(self.first(x)))).mean((2, 3))


class Case:
    """The network imported, pictures, and what it answers."""

    def __init__(self, activation: nn.Module) -> None:
        torch.manual_seed(3)
        self.net = Separable(activation)
        inputs = torch.randn(24, 3, 12, 12)
        for _ in range(60):
            self.net(inputs)
        self.net.eval()
        self.module = import_exported(torch.export.export(self.net, (inputs[:1],)))
        self.rows = [[one[None].numpy()] for one in inputs[:16]]
        self.unseen = [[one[None].numpy()] for one in inputs[16:]]

    def answers(self, module: Any) -> Array:
        """Return what a module answers to the pictures that calibration did not see."""
        return np.concatenate([found[0] for found in Observer(module, [], outputs=True).run(self.unseen)])


@pytest.fixture(scope="module")
def case() -> Case:
    return Case(nn.ReLU6())


def test_a_scaled_network_of_floats_answers_the_same(case: Case) -> None:
    floats = folded(case.module)
    points = choose_points(floats)
    seen = [Seen() for _ in points.roots]
    for arrays in Observer(floats, points.roots).run([*case.rows, *case.unseen]):
        for one, array in zip(seen, arrays, strict=True):
            one.add(array)
    factors = choose_factors(points, dict(zip(points.roots, seen, strict=True)))
    assert list(factors) == [1, 2]
    assert factors[1].channels.max() > 4
    module, _ = scaled(floats, points, factors)
    np.testing.assert_allclose(case.answers(module), case.answers(floats), rtol=1e-4, atol=1e-4)


def test_small_channels_keep_their_levels(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    right = case.answers(folded(case.module))
    errors = []
    for choose in (choose_factors, lambda *_: {}):
        monkeypatch.setattr(equalising, "choose_factors", choose)
        whole = Quantizer.calibrated(case.module, case.rows, "max").try_quantize(case.module)
        errors.append(float(np.square(case.answers(whole) - right).mean()))
    assert errors[0] < errors[1] / 4


@pytest.mark.parametrize("reading", ["depthwise", "twice", "dense", "signed"])
def test_only_a_depthwise_convolution_takes_back_what_it_alone_reads(reading: str) -> None:
    class Other(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.reader = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, groups=1 if reading == "dense" else 8)

        def forward(self, x: torch.Tensor) -> Any:
            inner = self.stem(x)
            inner = inner.clamp(-1, 6) if reading == "signed" else inner.relu()
            return (self.reader(inner), inner.mean()) if reading == "twice" else self.reader(inner)

    module = folded(import_exported(torch.export.export(Other().eval(), (torch.randn(1, 3, 6, 6),))))
    points = choose_points(module)
    pairs = [find_pair(points.graph, layer) for layer in points.layers]
    assert [pair and pair.high for pair in pairs] == [None, math.inf if reading == "depthwise" else None]
