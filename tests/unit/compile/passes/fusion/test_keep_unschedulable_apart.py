"""What changes a tensor's size at its end is no epilogue of a convolution, though it reads at the output's places; a
bias, an activation and a sum are.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ovenbird.backends.cpu.machine import machine_of
from ovenbird.backends.cpu.pipeline import lower_networks
from ovenbird.lowering.entry_key import EntryKey
from ovenbird.networks.torch.source import TorchSource
from ovenbird.networks.torch.tracing import Traced
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


class Blocks(nn.Module):
    """Four convolutions of 20 channels, which fill no block: with a bias each, and what networks have behind them."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            (nn.Conv2d(8, 20, 3), nn.Conv2d(20, 20, 3, padding=1, groups=20), nn.Conv2d(20, 20, 1), nn.Conv2d(20, 8, 3))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, middle, project, last = self.layers
        x = F.relu6(first(x))
        return F.hardswish(last(x + project(F.silu(middle(x)))))


def test_biases_activations_and_sums_stay_with_their_convolutions() -> None:
    source = TorchSource(Traced.of(Blocks().eval(), (torch.randn(2, 8, 9, 9),)))
    lowered = lower_networks({EntryKey(batch=2): source.relax(2)}, machine_of(load_target("x86-64-v3")), {})
    names = sorted(name.name_hint for name in lowered.functions if "conv" in name.name_hint)
    assert len(names) == 4
    assert all(name.startswith("fused_") for name in names), names
    assert not [name for name in (one.name_hint for one in lowered.functions) if name.startswith(("add", "fused_add"))]
