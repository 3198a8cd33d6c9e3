"""Small networks whose answers are hard to judge: what they are compiled from, by name, for the tests of verification.

    ovenbird compile support.verified_networks:softmax_2000

Probabilities over many classes, saturated ones, tiny and huge numbers, constant parts, outputs of different scale,
parts of different scale in one output, answers that hardly depend on the input, deep ones, sparse ones, maps, tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.functional import normalize

Examples = tuple[nn.Module, Any]


class Body(nn.Sequential):
    """Image [N, 3, 32, 32] to 64 features: three convolutions, two of them normalised."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(64), nn.SiLU(),
            nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(256, 64),
        )  # fmt: skip


class Classifier(nn.Module):
    """A body, a last layer, and a function of what it gives."""

    def __init__(self, classes: int, finish: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.body, self.head = Body(), nn.Linear(64, classes)
        self.finish = finish

    def forward(self, image: torch.Tensor) -> Any:
        return self.finish(self.head(self.body(image)))


class Residual(nn.Module):
    """`x + branch(x)`, after which the branch can be left out without changing a shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x + self.branch(x)).relu()


class Deep(nn.Module):
    """Twelve residual blocks: each matters little."""

    def __init__(self, blocks: int = 12) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.blocks = nn.Sequential(*(Residual(16) for _ in range(blocks)))
        self.head = nn.Linear(16, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.head(self.blocks(self.stem(image)).mean((2, 3)))
        return found


class Attention(nn.Module):
    """One block of a transformer, normalised first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm1(x)
        weights = (self.query(y) @ self.key(y).transpose(1, 2) / y.shape[-1] ** 0.5).softmax(-1)
        x = x + self.out(weights @ self.value(y))
        found: torch.Tensor = x + self.mlp(self.norm2(x))
        return found


class Transformer(nn.Module):
    """Patches, places, three blocks: answers of 17 tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 32, 8, stride=8)
        self.token = nn.Parameter(torch.randn(1, 1, 32))
        self.place = nn.Parameter(torch.randn(1, 17, 32))
        self.blocks = nn.Sequential(*(Attention(32) for _ in range(3)))
        self.norm, self.head = nn.LayerNorm(32), nn.Linear(32, 10)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        x = self.patch(image).flatten(2).transpose(1, 2)
        x = self.blocks(torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.place)
        return {"tokens": x, "classes": self.head(self.norm(x[:, 0]))}


class Detector(nn.Module):
    """Boxes in pixels and probabilities, in one output [N, 4 + 20, 64]."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 32, 3, stride=2, padding=1), nn.SiLU(), nn.Conv2d(32, 32, 3, 2, 1), nn.SiLU()
        )
        self.boxes, self.classes = nn.Conv2d(32, 4, 1), nn.Conv2d(32, 20, 1)
        nn.init.constant_(self.classes.bias, -4.0)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.body(image)
        return torch.cat([self.boxes(x).sigmoid() * 640, self.classes(x).sigmoid()], 1).flatten(2)


class Map(nn.Module):
    """An image to a map of ten classes, down and up again with a skip."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()
        )
        self.skip, self.up = nn.Conv2d(3, 16, 1), nn.ConvTranspose2d(16, 16, 2, stride=2)
        self.head = nn.Conv2d(16, 10, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.head((self.up(self.down(image)) + self.skip(image)).relu())
        return found


class Mobile(nn.Module):
    """Depthwise convolutions with squeeze and excitation: a sparse embedding and the classes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 24, 3, stride=2, padding=1), nn.Hardswish())
        self.depthwise = nn.Sequential(nn.Conv2d(24, 24, 5, padding=2, groups=24), nn.BatchNorm2d(24), nn.Hardswish())
        self.squeeze = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(24, 6, 1), nn.ReLU(), nn.Conv2d(6, 24, 1), nn.Hardsigmoid()
        )
        self.project = nn.Sequential(nn.Conv2d(24, 128, 1), nn.ReLU())
        self.head = nn.Linear(128, 12)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        x = self.depthwise(self.stem(image))
        features = self.project(x * self.squeeze(x)).amax((2, 3))
        return {"classes": self.head(features), "sparse": (features - 0.6).relu()}


class Words(nn.Module):
    """Ids to an embedding of length one, and the ids themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.mix, self.out = nn.Embedding(50, 32), nn.Linear(32, 64), nn.Linear(64, 24)

    def forward(self, ids: torch.Tensor) -> dict[str, torch.Tensor]:
        x = self.out(self.mix(self.table(ids)).tanh()).mean(1)
        return {"embedding": normalize(x, dim=-1), "next": ids + 1}


class Scales(nn.Module):
    """Two outputs, one 10 million times as large as the other."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.loud, self.quiet = Body(), nn.Linear(64, 8), nn.Linear(64, 8)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        x = self.body(image)
        return {"loud": self.loud(x) * 1e4, "quiet": self.quiet(x) * 1e-3}


class Regressor(nn.Module):
    """One number an image, [N]."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = Body(), nn.Linear(64, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.head(self.body(image))[:, 0]
        return found


def made(net: nn.Module, *inputs: torch.Tensor) -> Examples:
    """Return a network with batch norms of its own, in evaluation mode, and its inputs."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return net.eval(), inputs


def image() -> torch.Tensor:
    return torch.randn(1, 3, 32, 32)


def classifier(classes: int, finish: Callable[[torch.Tensor], Any]) -> Examples:
    torch.manual_seed(0)
    return made(Classifier(classes, finish), image())


def softmax_2000() -> Examples:
    return classifier(2000, lambda x: x.softmax(-1))


def log_softmax() -> Examples:
    return classifier(100, lambda x: x.log_softmax(-1))


def sigmoid() -> Examples:
    return classifier(30, torch.sigmoid)


def tiny() -> Examples:
    return classifier(10, lambda x: x * 1e-4)


def huge() -> Examples:
    return classifier(10, lambda x: x * 1e6)


def saturated() -> Examples:
    return classifier(100, lambda x: (x * 40).softmax(-1))


def constant_part() -> Examples:
    return classifier(2000, lambda x: torch.cat([x.softmax(-1), torch.full_like(x[:, :1], 3000.0)], 1))


def offset() -> Examples:
    """Each answer stands some hundred times its spread from zero."""
    return classifier(10, lambda x: x * 10 + 100)


def scales() -> Examples:
    torch.manual_seed(0)
    return made(Scales(), image())


def deep() -> Examples:
    torch.manual_seed(0)
    return made(Deep(), image())


def transformer() -> Examples:
    torch.manual_seed(0)
    return made(Transformer(), image())


def detector() -> Examples:
    torch.manual_seed(0)
    return made(Detector(), image())


def segmentation() -> Examples:
    torch.manual_seed(0)
    return made(Map(), image())


def mobile() -> Examples:
    torch.manual_seed(0)
    return made(Mobile(), image())


def words() -> Examples:
    torch.manual_seed(0)
    return made(Words(), torch.randint(0, 50, (1, 12)))


def regressor() -> Examples:
    torch.manual_seed(0)
    return made(Regressor(), image())


NETWORKS = (
    "softmax_2000", "log_softmax", "sigmoid", "tiny", "huge", "saturated", "constant_part", "offset",
    "scales", "deep", "transformer", "detector", "segmentation", "mobile", "words", "regressor",
)  # fmt: skip
