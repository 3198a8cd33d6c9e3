"""A darknet network as a torch module: its layers in order, each fed by the layers that its section names.

net = build_network(read_cfg(path), WeightsFile.read(weights))
net(image)                  # {"boxes": [N, K, 4], "scores": [N, K], "classes": [N, K]}, or {"logits": [N, classes]}
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from ovenbird.networks.darknet.heads import Head, decode

IMAGE = -1
"""The number of what goes into the first layer."""


@dataclass(frozen=True)
class LayerStep:
    """A layer's place: where its inputs come from (`IMAGE`, or earlier layers), and what it is called."""

    inputs: tuple[int, ...]
    kind: str
    line: int


class DarknetNetwork(nn.Module):
    """Takes [N, 3, H, W], pixels of 0 to 1 in red, green, blue."""

    def __init__(
        self, layers: Sequence[nn.Module], steps: Sequence[LayerStep], heads: Sequence[tuple[Head, int]]
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.steps = tuple(steps)
        self.heads = tuple(heads)
        """Each with the number of the layer that it reads."""

    def maps(self, image: torch.Tensor) -> dict[int, torch.Tensor]:
        """Return what the layers give that heads read, or what the last one gives, by their numbers."""
        wanted = {number for _, number in self.heads} or {len(self.steps) - 1}
        last = {source: number for number, step in enumerate(self.steps) for source in step.inputs}
        found = {IMAGE: image}
        for number, (layer, step) in enumerate(zip(self.layers, self.steps, strict=True)):
            found[number] = layer(*[found[source] for source in step.inputs])
            for source in step.inputs:
                if last[source] == number and source not in wanted:
                    found.pop(source, None)
        return {number: found[number] for number in wanted}

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return boxes, scores and classes; or the logits, where the network has no heads."""
        maps = self.maps(image)
        if not self.heads:
            return {"logits": next(iter(maps.values())).flatten(1)}
        size = (image.shape[2], image.shape[3])
        return decode([head for head, _ in self.heads], [maps[number] for _, number in self.heads], size)
