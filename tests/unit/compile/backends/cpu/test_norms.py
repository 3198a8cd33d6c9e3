"""Group, instance and batch norms agree with torch, also where the mean is large beside the spread."""

import pytest
import torch
from torch import nn

FAR = 3e-4
"""torch's own error in float32 is 1e-4 where the mean is a thousand times the spread."""


def scaled(norm: nn.Module) -> nn.Module:
    """Give a norm scales and shifts that show."""
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm


@pytest.mark.parametrize(("groups", "channels"), [(1, 24), (4, 24), (24, 24), (3, 12), (2, 64), (5, 40)])
@pytest.mark.parametrize(
    "size",
    [(7, 5), pytest.param((16, 16), marks=pytest.mark.slow), pytest.param((1, 1), marks=pytest.mark.slow), (67, 31)],
)
def test_group_norm_of_images(check, groups, channels, size):
    check(nn.Sequential(nn.Conv2d(3, channels, 1), scaled(nn.GroupNorm(groups, channels)), nn.SiLU()),
          torch.randn(2, 3, *size))  # fmt: skip


@pytest.mark.parametrize("shape", [(2, 24), (2, 24, 50), (2, 24, 7, 9), (2, 24, 3, 5, 4)])
def test_group_norm_of_plain_tensors(check, shape):
    check(scaled(nn.GroupNorm(4, 24)), torch.randn(*shape))


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("affine", [True, False])
def test_instance_norm(check, batch, affine):
    norm = nn.InstanceNorm2d(24, affine=affine)
    check(nn.Sequential(nn.Conv2d(3, 24, 1), scaled(norm) if affine else norm), torch.randn(batch, 3, 9, 13))


@pytest.mark.parametrize("mean", [100.0, 1000.0])
@pytest.mark.parametrize(
    "norm",
    [
        nn.InstanceNorm2d(24),
        nn.GroupNorm(4, 24),
        nn.Sequential(nn.ReLU(), nn.MaxPool2d(1), nn.GroupNorm(4, 24)),
        nn.BatchNorm2d(24, track_running_stats=False),
        nn.LayerNorm([24, 28, 27]),
        nn.LayerNorm(27),
    ],
    ids=["instance", "group", "blocked", "batch", "layer", "last axis"],
)
def test_a_mean_far_from_zero(check, norm, mean):
    check(norm, torch.randn(2, 24, 28, 27) + mean, tolerance=FAR)


def test_variance_far_from_zero(check):
    class Spread(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x.var((2, 3)), x.std(1)

    check(Spread(), torch.randn(2, 24, 28, 27) + 1000.0, tolerance=FAR)
