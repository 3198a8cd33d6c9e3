"""Networks with one layer made wrong, to see whether verification notices.

for mutant in mutants(net):
    with mutant:
        net(image)              # zeroed, its ends swapped, scaled by 1.01, or left out
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

KINDS = ("zero", "swap", "scale", "drop")
SCALE = 1.01


@dataclass
class Mutant:
    """One layer whose outputs are changed while the mutant is entered."""

    name: str
    layer: nn.Module
    kind: str
    _handle: Any = field(default=None, repr=False)

    def __enter__(self) -> Mutant:
        """Change the layer."""
        self._handle = self.layer.register_forward_hook(self._change)
        return self

    def __exit__(self, *_: object) -> None:
        """Put it right again."""
        self._handle.remove()

    def __str__(self) -> str:
        """Return `head scale`."""
        return f"{self.name} {self.kind}"

    def _change(self, layer: nn.Module, inputs: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor:
        if self.kind == "zero":
            return output * 0
        if self.kind == "scale":
            return output * SCALE
        if self.kind == "drop":  # where the shapes allow it
            return inputs[0] if inputs[0].shape == output.shape else output
        axis = 1 if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d)) else output.dim() - 1
        last = output.shape[axis] - 1
        return output.index_select(axis, torch.tensor([last, *range(1, last), 0][: last + 1]))


def mutants(net: nn.Module) -> Iterator[Mutant]:
    """Yield every way to make one layer of a network wrong."""
    for name, layer in net.named_modules():
        if not list(layer.children()):
            for kind in KINDS:
                yield Mutant(name, layer, kind)


def find_mutant(net: nn.Module, name: str, kind: str) -> Mutant:
    """Return one by its layer's name and its kind."""
    return Mutant(name, net.get_submodule(name), kind)
