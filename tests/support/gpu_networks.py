"""Small networks that between them hold every operator of the built-in models, for tests of GPU code.

Example: `ovenbird compile support.gpu_networks:convolutions --target cuda-sm90`.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Made = tuple[nn.Module, tuple[Tensor, ...]]


class Convolutions(nn.Module):
    """Strides, padding, groups, depthwise, dilation; norms before and behind; pooling; concatenation; a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 7, 2, 3, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.deep = nn.Sequential(nn.Conv2d(16, 96, 3, padding=1), nn.BatchNorm2d(96), nn.ReLU6())
        self.wide = nn.Conv2d(96, 24, 1)
        self.depthwise = nn.Conv2d(24, 24, 5, 2, 2, groups=24, bias=False)
        self.grouped = nn.Conv2d(24, 32, 3, padding=2, dilation=2, groups=4)
        self.before = nn.BatchNorm2d(56)
        self.gate = nn.Conv2d(56, 56, 1)
        self.head = nn.Linear(56, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = F.max_pool2d(self.stem(image), 3, 2, 1)
        x = self.wide(self.deep(x))
        x = F.hardswish(self.depthwise(F.pad(x, (0, 1, 1, 2))))
        x = torch.cat([x, F.avg_pool2d(self.grouped(x), 3, 1, 1)], 1)
        x = F.silu(self.before(x) + 0.25)
        x = x * torch.sigmoid(self.gate(F.adaptive_avg_pool2d(x, 1)))
        return self.head((x / 1.5 - x.clamp(-1, 2)).mean([2, 3]))


class Deep(nn.Module):
    """Few pixels and many channels: products that are summed in parts, with a residual behind them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(256, 256, 3, padding=1), nn.Conv2d(256, 256, 1)

    def forward(self, image: Tensor) -> Tensor:
        x = F.relu(self.first(image))
        return F.relu(self.second(x) + image)


class Transformer(nn.Module):
    """Patches, attention, layer norm, GELU, softmax; positions and a class token; permutations."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 64, 8, 8)
        self.token = nn.Parameter(torch.randn(1, 1, 64))
        self.positions = nn.Parameter(torch.randn(1, 17, 64) * 0.1)
        self.block = nn.TransformerEncoderLayer(64, 4, 128, 0.0, "gelu", batch_first=True, norm_first=True)
        self.norm, self.head = nn.LayerNorm(64), nn.Linear(64, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = self.patches(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.positions
        return torch.softmax(self.head(self.norm(self.block(x))[:, 0]), -1)


class Wide(nn.Module):
    """Products large enough for every kind of tile, in parts and whole."""

    def __init__(self) -> None:
        super().__init__()
        self.narrow, self.broad = nn.Linear(768, 256), nn.Linear(256, 3072)

    def forward(self, rows: Tensor) -> Tensor:
        return self.broad(F.relu(self.narrow(rows)))


class Tiny(nn.Module):
    """Little arithmetic, of every kind that tuning has plans for: a product, a mean, a product of few rows, a map."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Conv2d(8, 16, 3, padding=1), nn.Linear(16, 10)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(F.relu(self.first(image)).mean([2, 3]))


class Thin(nn.Module):
    """Products with an extent of one: one channel in, one channel out, one feature."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 24, 1), nn.Conv2d(24, 1, 3, padding=1)
        self.last = nn.Linear(12, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.last(self.second(F.relu(self.first(image))))


class Plans(nn.Module):
    """Products that every kind of plan fits: in parts, of few rows, in batches, of weights either way round."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.grouped = nn.Conv2d(32, 24, 3, padding=1), nn.Conv2d(24, 16, 3, 2, 1, groups=2)
        self.depthwise, self.head = nn.Conv2d(24, 24, 3, padding=1, groups=24), nn.Linear(144, 40)
        self.last = nn.Linear(40, 20)

    def forward(self, image: Tensor) -> Tensor:
        x = F.relu(self.first(image))
        x = x * torch.sigmoid(self.depthwise(x))
        mixed = x.flatten(2) @ x.flatten(2).transpose(1, 2)
        rows = self.head(self.grouped(x).reshape(image.shape[0], 2, 144))
        return self.last(rows.mean(1)) + mixed.mean([1, 2]).unsqueeze(1)


def made(network: type[nn.Module], *shape: int) -> Made:
    """A network with weights that are the same each time, its norms with statistics of their own."""
    torch.manual_seed(3)
    module = network().eval()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_var, 0.5, 2.0)
            nn.init.normal_(part.running_mean, std=0.3)
    return module, (torch.randn(*shape),)


def convolutions() -> Made:
    return made(Convolutions, 1, 3, 33, 40)


def deep() -> Made:
    return made(Deep, 1, 256, 7, 7)


def transformer() -> Made:
    return made(Transformer, 1, 3, 32, 32)


def wide() -> Made:
    return made(Wide, 1, 197, 768)


def tiny() -> Made:
    return made(Tiny, 1, 8, 10, 10)


def thin() -> Made:
    return made(Thin, 1, 1, 12, 12)


def plans() -> Made:
    return made(Plans, 2, 32, 12, 6)
