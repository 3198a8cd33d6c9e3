"""What changes a tensor's size at its end is no epilogue of a convolution, though it reads at the output's places."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ovenbird.targets import load_target
from support.codegen import Case, run_together


class Ends(nn.Module):
    """A convolution, and what follows it."""

    def __init__(self, layer: nn.Module, change: object) -> None:
        super().__init__()
        self.layer = layer
        self.change = change

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.change(self.layer(x))


CHANGES = {
    "a pad of the end": lambda y: F.pad(y, [0, 1, 0, 1]),
    "a pad of channels at the end": lambda y: F.pad(y, [0, 0, 0, 0, 0, 3]) * 2,
    "the beginning": lambda y: y.relu()[:, :, :3, :-1],
    "the first channels": lambda y: y[:, :2].relu(),
}


def test_pads_of_the_end_and_slices_of_the_beginning_stand_behind_convolutions() -> None:
    torch.manual_seed(0)
    layers = (nn.Conv2d(8, 4, 3), nn.ConvTranspose2d(8, 4, 2, 2))
    x = torch.randn(1, 8, 7, 8)
    cases = [Case(Ends(layer, change).eval(), (x,)) for layer in layers for change in CHANGES.values()]
    for case, found in zip(cases, run_together(cases, load_target("host")), strict=True):
        torch.testing.assert_close(torch.from_numpy(found[0]), case.run()[0].detach(), rtol=1e-4, atol=1e-5)
