"""Pooling, elementwise maps, concatenation and what stays plain agree with torch, on every vector width."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from support.codegen import Function


def after_convolution(channels: int, *layers: nn.Module) -> nn.Sequential:
    """Layers behind a convolution, so that they see a blocked image of `channels` channels."""
    return nn.Sequential(nn.Conv2d(3, channels, 1), *layers)


class Wrapped(nn.Module):
    """A function of the outputs of two convolutions of the same input."""

    def __init__(self, function, first: int = 24, second: int = 24) -> None:
        super().__init__()
        self.function = function
        self.first, self.second = nn.Conv2d(3, first, 1), nn.Conv2d(3, second, 1)

    def forward(self, x: torch.Tensor):
        return self.function(self.first(x), self.second(x))


@pytest.mark.parametrize("channels", [3, pytest.param(16, marks=pytest.mark.slow), 24])
@pytest.mark.parametrize(
    "pool",
    [
        nn.MaxPool2d(2),
        nn.MaxPool2d(3, 2, 1),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.MaxPool2d(3, 1, 1),
        nn.MaxPool2d((1, 2), (2, 1), dilation=2),
        nn.AvgPool2d(2),
        nn.AvgPool2d(3, 1, 1),
        nn.AvgPool2d(3, 2, 1, ceil_mode=True),
        nn.AvgPool2d(3, 2, 1, count_include_pad=False),
        nn.AvgPool2d(3, 2, ceil_mode=True, count_include_pad=False),
        nn.AdaptiveAvgPool2d(1),
        nn.AdaptiveAvgPool2d((3, 4)),
        nn.AdaptiveAvgPool2d((7, 5)),
        nn.AdaptiveAvgPool2d((14, 13)),
    ],
    ids=str,
)
def test_pooling(check, channels, pool):
    check(after_convolution(channels, pool), torch.randn(2, 3, 14, 13))


def test_pooling_of_the_input(check):
    check(nn.Sequential(nn.MaxPool2d(2), nn.AvgPool2d(2)), torch.randn(1, 3, 16, 12))


@pytest.mark.parametrize(
    "layer",
    [
        nn.ReLU(),
        nn.ReLU6(),
        nn.SiLU(),
        nn.GELU(),
        nn.GELU("tanh"),
        nn.Hardswish(),
        nn.Hardsigmoid(),
        nn.Hardtanh(),
        nn.LeakyReLU(0.1),
        nn.ELU(),
        nn.Mish(),
        nn.Softplus(),
        nn.Sigmoid(),
        nn.Tanh(),
        nn.PReLU(),
        nn.PReLU(17),
    ],
    ids=str,
)
def test_activations(check, layer):
    check(after_convolution(17, layer), 3 * torch.randn(1, 3, 9, 7))


@pytest.mark.parametrize("first", [24, pytest.param(17, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "function",
    [
        lambda a, b: a + b,
        lambda a, b: a * b - a,
        lambda a, b: torch.maximum(a, b) * 2 + 1,
        lambda a, b: a / (b.abs() + 1),
        lambda a, b: a / 3.0 + 1.0 / (a.abs() + 1),
        lambda a, b: a * b.mean((2, 3), keepdim=True),
        lambda a, b: a * torch.sigmoid(functional.adaptive_avg_pool2d(b, 1)),
        lambda a, b: a + b[:, :, :1, :1],
        lambda a, b: a * b.mean(1, keepdim=True),
        lambda a, b: a - a.mean((2, 3), keepdim=True),
        lambda a, b: a * torch.arange(7.0).reshape(1, 1, 1, 7),
    ],
)
def test_maps_of_two(check, function, first):
    check(Wrapped(function, first, first), torch.randn(1, 3, 9, 7))


@pytest.mark.parametrize(("first", "second"), [(16, 24), (32, 16), (17, 24), (3, 5)])
def test_concatenation(check, first, second):
    check(Wrapped(lambda a, b: torch.relu(torch.cat([a, b, a], 1) * 2), first, second), torch.randn(2, 3, 9, 7))


def test_concatenation_of_rows(check):
    check(Wrapped(lambda a, b: torch.cat([a, b], 2)), torch.randn(1, 3, 5, 7))


def test_norm_behind_a_concatenation(check):
    norm = nn.BatchNorm2d(48)
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    layer = nn.Conv2d(48, 8, 1)

    class Dense(Wrapped):
        def __init__(self) -> None:
            super().__init__(lambda a, b: layer(torch.relu(norm(torch.cat([a, b], 1)))), 32, 16)
            self.norm, self.layer = norm, layer

    check(Dense(), torch.randn(1, 3, 9, 7))


@pytest.mark.parametrize("channels", [58, 32])
def test_channel_shuffle(check, channels):
    def shuffle(a: torch.Tensor, b: torch.Tensor):
        x = torch.cat([a, b], 1)
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        left, right = x.chunk(2, 1)
        return left * 2, torch.relu(right)

    check(Wrapped(shuffle, channels, channels), torch.randn(1, 3, 7, 5))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: torch.relu(functional.interpolate(x, scale_factor=2)),
        lambda x: functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True),
        lambda x: functional.interpolate(x, size=(13, 17), mode="bilinear", align_corners=False),
        lambda x: x[:, 3:9, 1:, ::2],
        lambda x: x.permute(0, 2, 3, 1).softmax(-1),
        lambda x: functional.layer_norm(x.permute(0, 2, 3, 1), (24,)).permute(0, 3, 1, 2),
        lambda x: x.flatten(2).transpose(1, 2),
        lambda x: functional.pixel_shuffle(x, 2),
        lambda x: x.sum(1),
        lambda x: functional.instance_norm(x),
        lambda x: functional.interpolate(x, size=(9, 32), mode="bilinear").mean(3),
        lambda x: functional.interpolate(x, size=(64, 64), mode="bilinear").sum((1, 3)),
        lambda x: functional.interpolate(x, size=(64, 64), mode="bilinear").mean((1, 2, 3)),
        lambda x: functional.interpolate(x, size=(32, 32), mode="bilinear").sum(1),
        lambda x: functional.interpolate(x, size=(32, 32), mode="bilinear").permute(0, 2, 3, 1).max(3)[0],
        lambda x: x.mean((1, 2, 3)),
        lambda x: x.softmax(1),
        lambda x: functional.pad(x, (1, 1, 1, 1), mode="reflect"),
    ],
)
def test_what_stays_plain(check, function):
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 24, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return function(self.layer(x))

    check(Network(), torch.randn(1, 3, 8, 6))


def test_squeeze_and_excitation(check):
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.down, self.up = nn.Conv2d(3, 40, 1), nn.Conv2d(40, 10, 1), nn.Conv2d(10, 40, 1)
            self.last = nn.Conv2d(40, 24, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = functional.hardswish(self.first(x))
            gate = self.up(torch.relu(self.down(functional.adaptive_avg_pool2d(x, 1))))
            return self.last(x * functional.hardsigmoid(gate))

    check(Block(), torch.randn(1, 3, 14, 14))


def test_classifier(check):
    layers = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 17), nn.Hardswish(), nn.Linear(17, 10)]
    check(after_convolution(24, *layers), torch.randn(3, 3, 9, 9))


@pytest.mark.parametrize("sections", [16, [16, 32], [7, 41], [32, 16]])
def test_split(check, sections):
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 48, 1)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
            parts = torch.split(self.layer(x), sections, 1)
            return tuple(torch.relu(part) for part in parts)

    check(Network(), torch.randn(2, 3, 9, 8))


@pytest.mark.parametrize("size", [(28, 26), (21, 20), (9, 5), (14, 40)])
def test_nearest_neighbours_are_torch_s(check, size):
    """Also by factors that are not whole, where the pixel with the nearest centre is another one."""
    check(after_convolution(24, nn.Upsample(size, mode="nearest")), torch.randn(1, 3, 14, 13))


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
@pytest.mark.parametrize("factor", [2, 1.6, 0.7, (1.5, 2)])
def test_resizing_by_a_factor(check, mode, factor):
    """A factor that is not whole steps by itself, not by the ratio of the sizes, which are rounded down."""
    check(after_convolution(24, nn.Upsample(scale_factor=factor, mode=mode)), torch.randn(1, 3, 14, 13))


@pytest.mark.parametrize("aligned", [False, True])
def test_bilinear_corners(check, aligned):
    check(
        after_convolution(24, nn.Upsample((23, 20), mode="bilinear", align_corners=aligned)), torch.randn(1, 3, 14, 13)
    )


@pytest.mark.parametrize("function", [torch.amax, torch.amin])
@pytest.mark.parametrize(("dims", "keep"), [((2, 3), False), ((1,), True), ((-1,), False)])
@pytest.mark.parametrize(
    "width", [pytest.param(8, marks=pytest.mark.slow), 16, pytest.param(32, marks=pytest.mark.slow)]
)
def test_extremes_over_dimensions(check, function, dims, keep, width):
    """The last dimension is one vector, or some: a vector alone has nothing to be added to."""
    check(Wrapped(lambda a, b: function(a + b, dims, keep)), torch.randn(2, 3, 9, width))


@pytest.mark.parametrize("size", [(12, 12), (8, 13), (7, 9), (64, 3)])
def test_extremes_of_channels(check, size):
    """Rows that are no whole vectors, images that are."""
    check(Function(lambda x: (x.amax(1), x.sum((0, 1)), x.argmin(1))), torch.randn(2, 21, *size))


def test_gates_of_plain_images(check):
    check(Function(lambda x: (x * torch.sigmoid(x.amax((2, 3), True)), x + x[:, :1].exp())), torch.randn(2, 9, 7, 8))


@pytest.mark.parametrize("affine", [False, True])
def test_group_norm(check, affine):
    check(after_convolution(24, nn.GroupNorm(4, 24, affine=affine)), torch.randn(2, 3, 9, 8))


class Permuted(nn.Module):
    """Axes in another order, elementwise before and behind."""

    def __init__(self, *axes: int) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu((x + 1).permute(*self.axes)) * 2


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((2, 5, 1, 4), (3, 0, 2, 1)),
        ((2, 5, 3, 77), (0, 2, 1, 3)),
        ((2, 7, 3, 70), (0, 2, 3, 1)),
        ((2, 5, 3, 4), (0, 3, 1, 2)),
        ((2, 1, 7, 67), (0, 3, 1, 2)),
    ],
)
def test_permuted_axes(check, shape, axes):
    check(Permuted(*axes), torch.randn(*shape))
