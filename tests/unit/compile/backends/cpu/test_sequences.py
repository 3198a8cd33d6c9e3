"""Convolutions of sequences and volumes agree with torch; what follows elementwise does too."""

import pytest
import torch
from torch import nn
from torch.nn import functional


def norm(channels: int) -> nn.Module:
    layer = nn.BatchNorm1d(channels)
    layer.running_mean.normal_()
    layer.running_var.uniform_(0.5, 2)
    return layer


@pytest.mark.parametrize(
    ("inputs", "outputs", "options"),
    [
        (3, 17, {"kernel_size": 7, "stride": 2, "padding": 3}),
        (24, 40, {"kernel_size": 3, "padding": 1}),
        (24, 24, {"kernel_size": 5, "padding": 2, "groups": 24}),
        (24, 48, {"kernel_size": 3, "dilation": 4, "groups": 2, "bias": False}),
        (24, 17, {"kernel_size": 1}),
    ],
)
def test_conv1d(check, inputs, outputs, options):
    check(nn.Conv1d(inputs, outputs, **options), torch.randn(2, inputs, 51))


def test_a_chain_of_sequences(check):
    layers = [
        nn.Conv1d(3, 24, 5), norm(24), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(24, 40, 3, padding=1), nn.GELU(),
        nn.AvgPool1d(3, 2, 1), nn.ConvTranspose1d(40, 17, 4, stride=2, padding=1), nn.Sigmoid(),
    ]  # fmt: skip
    check(nn.Sequential(*layers), torch.randn(2, 3, 51))


def test_a_residual_of_sequences(check):
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv1d(24, 24, 3, padding=1), nn.Conv1d(24, 24, 1)
            self.scale = nn.Parameter(torch.randn(24, 1))

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            y = torch.relu(self.first(x)) * self.scale
            return self.second(y) + x, y.mean(-1)

    check(Residual(), torch.randn(2, 24, 19))


@pytest.mark.parametrize(
    ("inputs", "outputs", "options"),
    [
        (3, 24, {"kernel_size": 3, "padding": 1}),
        (24, 17, {"kernel_size": (3, 3, 1), "stride": (2, 1, 2), "dilation": (1, 2, 1), "padding": (1, 2, 0)}),
        (24, 8, {"kernel_size": 1}),
        (8, 8, {"kernel_size": (3, 1, 1), "padding": (1, 0, 0), "bias": False}),
        (8, 8, {"kernel_size": 3, "groups": 2}),
    ],
)
def test_conv3d(check, inputs, outputs, options):
    check(nn.Sequential(nn.Conv3d(inputs, outputs, **options), nn.ReLU()), torch.randn(2, inputs, 5, 9, 8))


def test_two_volumes_in_a_row(check):
    class Volumes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv3d(3, 24, 3, padding=1), nn.Conv3d(24, 8, (3, 1, 1), padding=(1, 0, 0))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return functional.max_pool3d(self.second(torch.relu(self.first(x))), 2)

    check(Volumes(), torch.randn(1, 3, 6, 8, 8))


POOLS = [
    nn.MaxPool3d(2),
    nn.MaxPool3d((3, 2, 3), (2, 1, 2), (1, 0, 1), ceil_mode=True),
    nn.MaxPool3d((2, 3, 1), dilation=(2, 1, 1)),
    nn.AvgPool3d((1, 3, 3), 2, (0, 1, 1)),
    nn.AvgPool3d(3, 2, 1, count_include_pad=False),
]


@pytest.mark.parametrize("pool", POOLS, ids=str)
def test_pools_of_volumes(check, pool):
    check(pool, torch.randn(2, 5, 6, 9, 8))
