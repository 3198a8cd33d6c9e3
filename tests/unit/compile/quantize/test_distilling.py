"""Samples drawn from what batch norms remember are spread as the tensors that they stand for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from ovenbird.lowering.pipeline import prepare
from ovenbird.networks.torch.importer import import_exported
from ovenbird.quantize.distilling import distil
from ovenbird.quantize.fold_norms import fold_norms
from ovenbird.quantize.points import choose_points


def chain(activation: nn.Module, remembers: bool = True) -> nn.Module:
    torch.manual_seed(6)
    net = nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), activation, nn.Conv2d(16, 4, 1))
    with torch.no_grad():
        net[1].weight.uniform_(-2, 2)
        net[1].bias.uniform_(-1, 1)
        if remembers:
            for _ in range(60):
                net(torch.randn(8, 3, 12, 12) * 2 + 1)
    return net.eval()


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.ReLU6(), nn.SiLU(), nn.Identity()], ids=str)
def test_draws_are_spread_as_what_a_layer_stores(activation: nn.Module) -> None:
    net = chain(activation)
    inputs = torch.randn(64, 3, 12, 12) * 2 + 1
    module, norms = fold_norms(prepare(import_exported(torch.export.export(net, (inputs[:1],)))))
    points = choose_points(module)
    drawn = distil(points.graph, norms, points.roots[1])
    assert drawn is not None
    with torch.no_grad():
        right = net[:3](inputs).numpy()
    assert drawn.mean() == pytest.approx(right.mean(), abs=0.1)
    assert drawn.std() == pytest.approx(right.std(), rel=0.1)
    np.testing.assert_allclose(np.percentile(drawn, [2, 98]), np.percentile(right, [2, 98]), atol=0.3)
    assert distil(points.graph, norms, points.roots[0]) is None  # the input has no norm


def test_a_norm_that_was_folded_remembers_nothing() -> None:
    module, norms = fold_norms(
        prepare(import_exported(torch.export.export(chain(nn.ReLU(), remembers=False), (torch.randn(1, 3, 8, 8),))))
    )
    assert norms == {}
    assert "batch_norm" not in str(module["main"])
