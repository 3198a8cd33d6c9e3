"""torch's sorts, scatters, samplings and recurrent layers, through the importer: behind convolutions and alone."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from ovenbird.regions import pool_regions
from ovenbird.suppression import grouped_nms, padded_nms
from support.codegen import Function


class Sampled(nn.Module):
    """A function of the outputs of a convolution, which are in blocks."""

    def __init__(self, function, channels: int = 21) -> None:
        super().__init__()
        self.function, self.conv = function, nn.Conv2d(3, channels, 1)

    def forward(self, x: torch.Tensor, *rest: torch.Tensor):
        return self.function(self.conv(x), *rest)


class Layer(nn.Module):
    """A recurrent layer, whose outputs become one tuple."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor, *state: torch.Tensor):
        output, last = self.layer(x, *([state if len(state) > 1 else state[0]] if state else []))
        return (output, *last) if isinstance(last, tuple) else (output, last)


INDEX = torch.tensor([[[0, 3, 1], [2, 2, 0]], [[4, 1, 1], [0, 0, 3]]])
FUNCTIONS = {
    "sort": lambda x: torch.sort(x, dim=1, descending=True, stable=True),
    "argsort": lambda x: torch.argsort(x, dim=2),
    "topk": lambda x: torch.topk(x, 2, dim=1, largest=False),
    "cumsum": lambda x: (x.cumsum(2), (x > 0).cumsum(1)),
    "cumprod": lambda x: x.cumprod(1),
    "scatter": lambda x: (x.scatter(1, INDEX, x[:, :2, :3]), x.scatter(1, INDEX, 2.5)),
    "scatter_add": lambda x: x.scatter_add(1, INDEX, x[:, 1:3, 1:]),
    "scatter_reduce": lambda x: x.scatter_reduce(1, INDEX, x[:, :2, :3], "mean", include_self=False),
    "index_put": lambda x: torch.index_put(x, (INDEX[:, 0, 0] % 2, INDEX[:, 1, 1]), x[:, 0], accumulate=True),
    "index_select": lambda x: x.index_select(1, INDEX[0, 0]),
    "index_add": lambda x: x.index_add(1, INDEX[0, 0], x[:, :3]),
    "gather": lambda x: x.gather(1, INDEX),
    "roll": lambda x: torch.roll(x, (1, -2), (1, 2)),
    "einsum": lambda x: torch.einsum("bij,bkj->bik", x, x),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_order_and_places(check, name):
    check(Function(FUNCTIONS[name]), torch.randn(2, 5, 4))


@pytest.mark.parametrize("length", [5, 37, 84])
def test_rows_by_their_numbers(check, length):
    check(Function(lambda x, places: x[:, places]), torch.randn(2, 20, length), torch.tensor([3, 0, -1, 3, 19]))


@pytest.mark.parametrize(("mode", "padding"), [("bilinear", "zeros"), ("nearest", "border"), ("bicubic", "reflection")])
def test_grid_sample(check, mode, padding):
    network = Sampled(lambda x, grid: functional.grid_sample(x, grid, mode, padding, align_corners=False))
    check(network, torch.randn(2, 3, 9, 7), torch.rand(2, 5, 4, 2) * 2.6 - 1.3)


def test_affine_grid(check):
    def warp(x: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
        return functional.grid_sample(x, functional.affine_grid(theta, x.shape, align_corners=True), align_corners=True)

    check(Sampled(warp), torch.randn(2, 3, 6, 5), torch.eye(2, 3).repeat(2, 1, 1) + torch.rand(2, 2, 3) * 0.3)


def test_grid_sample_of_volumes(check):
    sample = Function(lambda x, grid: functional.grid_sample(x, grid, align_corners=False))
    check(sample, torch.randn(2, 3, 4, 5, 6), torch.rand(2, 2, 3, 4, 3) * 2.6 - 1.3)


@pytest.mark.parametrize(
    "layer",
    [
        nn.LSTM(6, 9, 2, bidirectional=True, batch_first=True),
        nn.LSTM(6, 16, bias=False, batch_first=True),
        nn.GRU(6, 9, 2, bidirectional=True, batch_first=True),
        nn.GRU(6, 16, bias=False, batch_first=True),
        nn.RNN(6, 9, nonlinearity="relu", batch_first=True),
        nn.RNN(6, 9, batch_first=True, bidirectional=True),
    ],
    ids=lambda layer: str(layer),
)
def test_recurrent_layers(check, layer):
    check(Layer(layer), torch.randn(2, 5, 6))


def test_recurrent_layer_with_a_state(check):
    check(Layer(nn.LSTM(6, 9)), torch.randn(2, 3, 6), torch.randn(1, 3, 9), torch.randn(1, 3, 9))


@pytest.mark.parametrize("shuffle", [nn.PixelShuffle(2), nn.PixelUnshuffle(2), nn.ChannelShuffle(4)], ids=str)
def test_shuffles(check, shuffle):
    check(Sampled(shuffle, 16), torch.randn(2, 3, 6, 4))


def test_windows(check):
    def windows(x: torch.Tensor) -> torch.Tensor:
        n, c, h, w = x.shape
        x = torch.roll(x.permute(0, 2, 3, 1), (-1, -1), (1, 2))
        return x.reshape(n, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, c)

    check(Sampled(windows), torch.randn(2, 3, 6, 4))


MASK = torch.tensor([[True, False, True, True, True]] * 4 + [[True] * 5])
ATTENTIONS = {
    "plain": {},
    "causal": {"is_causal": True},
    "scale": {"scale": 0.3},
    "mask": {"attn_mask": MASK},
    "bias": {"attn_mask": torch.linspace(-1, 1, 25).reshape(5, 5)},
}


@pytest.mark.parametrize("name", ATTENTIONS)
def test_attention(check, name):
    attend = Function(lambda q, k, v: functional.scaled_dot_product_attention(q, k, v, **ATTENTIONS[name]))
    check(attend, *(torch.randn(2, 3, 5, 8) for _ in range(3)))


def test_attention_with_fewer_keys_than_queries(check):
    attend = Function(lambda q, k, v: functional.scaled_dot_product_attention(q, k, v, enable_gqa=True))
    check(attend, torch.randn(2, 6, 5, 8), torch.randn(2, 2, 7, 8), torch.randn(2, 2, 7, 8))


def test_suppression_into_a_fixed_number_of_rows(check):
    def choose(boxes: torch.Tensor, scores: torch.Tensor):
        keep, count = padded_nms(boxes, scores, 0.3, 20)
        return boxes[keep], keep, count.reshape(1)

    corners = torch.rand(40, 2)
    boxes = torch.cat([corners, corners + torch.rand(40, 2) * 0.4], 1)
    check(Function(choose), boxes, (torch.rand(40) * 10).round() / 10)


def test_suppression_within_groups(check):
    corners = torch.rand(2, 60, 2)
    boxes = torch.cat([corners, corners + torch.rand(2, 60, 2) * 0.4], 2)
    scores = (torch.rand(2, 60) * 10).round() / 10 - 0.2
    groups = torch.randint(0, 3, (2, 60))
    check(
        Function(lambda b, s, g: (grouped_nms(b, s, g, 0.3, 20), grouped_nms(b, s, g, 0.0, 50))), boxes, scores, groups
    )


def test_regions_of_a_pyramid(check):
    maps = [torch.randn(2, 5, 24, 32), torch.randn(2, 5, 12, 16)]
    corners = torch.rand(9, 2) * 80 - 10
    regions = torch.cat([torch.randint(0, 2, (9, 1)).float(), corners, corners + torch.rand(9, 2) * 90], 1)
    levels = torch.tensor([0, 1, 1, 0, 0, 1, 0, 1, 0])

    def pool(high: torch.Tensor, low: torch.Tensor, regions: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
        return pool_regions([high, low], regions, levels, [0.25, 0.125], 3, 2)

    check(Function(pool), *maps, regions, levels)
