"""Convolutions of every kind and odd shape agree with torch, on every vector width."""

import numpy as np
import pytest
import torch
from torch import nn

from ovenbird.backends.cpu.lowering.conv2d import without_border_taps
from ovenbird.operators.conv2d import Window


@pytest.mark.parametrize(
    ("inputs", "outputs", "options", "size"),
    [
        (3, 17, {"kernel_size": 3, "padding": 1}, (13, 11)),
        (3, 24, {"kernel_size": 7, "stride": 2, "padding": 3}, (31, 29)),
        (5, 40, {"kernel_size": 3, "stride": 2, "padding": 1}, (14, 15)),
        (24, 17, {"kernel_size": 1}, (13, 13)),
        (17, 80, {"kernel_size": 1}, (14, 14)),
        (40, 24, {"kernel_size": 1}, (37, 37)),
        (16, 32, {"kernel_size": 1, "stride": 2}, (9, 7)),
        (16, 24, {"kernel_size": (1, 7), "padding": (0, 3)}, (9, 17)),
        (16, 24, {"kernel_size": (5, 1), "padding": (2, 0)}, (9, 17)),
        (17, 5, {"kernel_size": 5, "padding": 2}, (10, 9)),
        (8, 16, {"kernel_size": 3, "dilation": 2, "padding": 2}, (15, 15)),
        (8, 16, {"kernel_size": 3, "dilation": 3, "stride": 2, "padding": 1}, (19, 17)),
        (32, 32, {"kernel_size": 3, "padding": 1, "bias": False}, (23, 23)),
        (1, 1, {"kernel_size": 3}, (5, 5)),
        (64, 48, {"kernel_size": 1}, (1, 1)),
        (20, 10, {"kernel_size": 3, "padding": 2, "padding_mode": "zeros"}, (3, 3)),
    ],
)
def test_dense(check, inputs, outputs, options, size):
    check(nn.Conv2d(inputs, outputs, **options), torch.randn(1, inputs, *size))


@pytest.mark.parametrize(
    "groups", [2, pytest.param(3, marks=pytest.mark.slow), 5, pytest.param(8, marks=pytest.mark.slow), 24, 48]
)
def test_grouped(check, groups):
    channels = 120 if groups == 5 else 48
    check(nn.Conv2d(channels, channels * 2, 3, padding=1, groups=groups), torch.randn(1, channels, 9, 8))


def test_groups_that_fill_blocks_only_in_part(check):
    check(nn.Conv2d(440, 440, 3, padding=1, groups=55), torch.randn(1, 440, 4, 4))


@pytest.mark.parametrize(
    "channels", [3, pytest.param(5, marks=pytest.mark.slow), 17, pytest.param(24, marks=pytest.mark.slow), 72]
)
@pytest.mark.parametrize(
    ("kernel", "stride", "dilation"), [(3, 1, 1), (3, 2, 1), (5, 2, 1), (7, 1, 1), (3, 1, 2), ((3, 5), (2, 1), 1)]
)
def test_depthwise(check, channels, kernel, stride, dilation):
    reach = kernel if isinstance(kernel, int) else max(kernel)
    layer = nn.Conv2d(channels, channels, kernel, stride=stride, padding=reach // 2, dilation=dilation, groups=channels)
    check(nn.Sequential(layer, nn.ReLU6()), torch.randn(2, channels, 19, 15))


def test_depthwise_with_a_multiplier(check):
    check(nn.Conv2d(24, 48, 3, padding=1, groups=24), torch.randn(1, 24, 9, 9))


@pytest.mark.parametrize("batch", [1, 3])
def test_norm_activation_and_residual(check, batch):
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(24, 24, 3, padding=1, bias=False), nn.Conv2d(24, 24, 1)
            self.norm, self.norm2 = nn.BatchNorm2d(24), nn.BatchNorm2d(24)
            for norm in (self.norm, self.norm2):
                norm.running_mean.normal_()
                norm.running_var.uniform_(0.5, 2)
                nn.init.normal_(norm.weight)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(self.norm2(self.second(torch.relu(self.norm(self.first(x))))) + x)

    check(Block(), torch.randn(batch, 24, 11, 13))


@pytest.mark.parametrize("amounts", [(1, 2, 3, 0), (0, 1, 0, 1), (2, 2, 2, 2)])
@pytest.mark.parametrize("groups", [1, 24])
def test_border_before_the_convolution(check, amounts, groups):
    layers = nn.Sequential(nn.Conv2d(3, 24, 1), nn.ZeroPad2d(amounts), nn.Conv2d(24, 24, 3, 2, 1, groups=groups))
    check(layers, torch.randn(1, 3, 12, 12))


def test_border_of_the_input(check):
    check(nn.Sequential(nn.ZeroPad2d(1), nn.Conv2d(3, 8, 3)), torch.randn(1, 3, 8, 8))


def test_border_of_ones_is_kept(check):
    check(nn.Sequential(nn.Conv2d(3, 8, 1), nn.ConstantPad2d(1, 1.0), nn.Conv2d(8, 8, 3)), torch.randn(1, 3, 8, 8))


def test_border_that_is_also_an_output(check):
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            padded = nn.functional.pad(self.first(x), (1, 1, 2, 2))
            return self.second(padded), torch.relu(padded)

    check(Network(), torch.randn(1, 3, 8, 8))


@pytest.mark.parametrize(
    ("inputs", "outputs", "options"),
    [
        (24, 12, {"kernel_size": 2, "stride": 2}),
        (17, 5, {"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1}),
        (8, 8, {"kernel_size": 4, "stride": 2, "padding": 1, "groups": 2}),
        (8, 16, {"kernel_size": (3, 2), "stride": (1, 3), "dilation": 2}),
        (3, 8, {"kernel_size": 1, "padding": 1}),
        (24, 48, {"kernel_size": 4, "stride": 2, "padding": 1}),
        (21, 21, {"kernel_size": 16, "stride": 8, "padding": 4}),
        (3, 3, {"kernel_size": (5, 3), "stride": (3, 1), "padding": (0, 2)}),
        (16, 16, {"kernel_size": 2, "stride": 3}),
        (16, 33, {"kernel_size": 4, "stride": 4, "padding": 5}),
        (16, 48, {"kernel_size": 3, "stride": (2, 3), "padding": (1, 0)}),
        (16, 33, {"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1}),
        (16, 32, {"kernel_size": (5, 3), "stride": 2, "padding": (2, 0)}),
        (32, 64, {"kernel_size": 4, "stride": 2, "padding": 1, "groups": 2}),
        (12, 20, {"kernel_size": 3, "stride": 2, "padding": 1, "groups": 4}),
    ],
)
def test_transposed(check, inputs, outputs, options):
    layers = [
        nn.Conv2d(3, inputs, 1),
        nn.ConvTranspose2d(inputs, outputs, **options),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    ]
    check(nn.Sequential(*layers), torch.randn(1, 3, 7, 6))


@pytest.mark.parametrize("size", [(17, 19), (23, 37), (1, 1), (29, 4)])
def test_depthwise_of_prime_sizes(check, size):
    check(nn.Conv2d(24, 24, 3, padding=1, groups=24), torch.randn(1, 24, *size))


@pytest.mark.parametrize("channels", [5, 9, 12])
def test_images_of_few_channels(check, channels):
    check(nn.Conv2d(channels, 24, 3, 2, 1), torch.randn(2, channels, 11, 10))


@pytest.mark.parametrize("dilation", [(5, 4), (12, 12), (1, 20)])
def test_dilated_beyond_the_border(check, dilation):
    layer = nn.Conv2d(32, 32, 3, padding=dilation, dilation=dilation)
    check(nn.Sequential(nn.Conv2d(3, 32, 1), layer, nn.ReLU()), torch.randn(2, 3, 13, 17))


@pytest.mark.parametrize(
    ("padding", "dilation", "image", "kept"),
    [
        (36, 36, (28, 28), (1, 1)),
        (12, 12, (28, 28), (3, 3)),
        (12, 12, (12, 13), (1, 3)),
        (24, 12, (28, 28), (3, 3)),  # the output is larger than the image: its edges see it by the outer taps
        (0, 12, (30, 30), (3, 3)),
    ],
)
def test_taps_that_see_the_border_alone_are_left_out(padding, dilation, image, kept):
    window = Window((3, 3), padding=(padding,) * 4, dilation=(dilation, dilation))
    kernel, found = without_border_taps(np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3), window, image)
    assert kernel.shape[2:] == found.kernel == kept
    assert found.output(*image) == window.output(*image)
    assert kernel[0, 0, kept[0] // 2, kept[1] // 2] == 4  # the middle stays
