"""Which tensors become whole numbers where there are no images: what layers read, and nothing of attention."""

from __future__ import annotations

import torch
from torch import nn

from ovenbird.networks.torch.importer import import_exported
from ovenbird.quantize.calibrating import folded
from ovenbird.quantize.points import LAYERS, MOVES, choose_points


class Block(nn.Module):
    """Attention written out, heads of four axes, and its keys and values as they are cached; a gated sum behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(32, 32) for _ in range(4))

    def heads(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(1, 6, 4, 8).transpose(1, 2)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        query, key, value = (self.heads(one(x)) for one in (self.query, self.key, self.value))
        own = (query * key).sum(-1, keepdim=True)
        weights = torch.softmax(query @ key.transpose(2, 3) * 0.35 + own, -1)
        context = weights @ value + own * value
        return self.out(context.transpose(1, 2).flatten(2)) + x, torch.cat([key, value], 2)


def test_heads_are_no_images() -> None:
    points = choose_points(folded(import_exported(torch.export.export(Block().eval(), (torch.randn(1, 6, 32),)))))
    assert len(points.layers) == 4
    read = {points.graph.name(var) for var, _ in points.uses}
    assert read <= LAYERS | MOVES
    assert len(points.roots) == 2  # what the three read, and what the last does
