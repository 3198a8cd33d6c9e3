"""Dense blocks: each layer reads all before it, and no kernel reads so many one by one."""

from __future__ import annotations

import warnings

import torch
import tvm
from torch import nn
from tvm import relax, tirx

from ovenbird.backends.cpu.lowering.image_ops import PARTS_AT_ONCE
from ovenbird.backends.cpu.machine import machine_of
from ovenbird.backends.cpu.pipeline import lower_networks
from ovenbird.lowering.entry_key import EntryKey
from ovenbird.networks.torch.importer import import_exported
from ovenbird.targets import load_target

CHANNELS = 16


class Dense(nn.Module):
    """Layers that each read what all before them gave, behind a norm of their own, and the sum of all."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, CHANNELS, 1)
        counts = [CHANNELS * (1 + layer) for layer in range(layers)]
        self.norms = nn.ModuleList(nn.BatchNorm2d(count) for count in counts)
        self.layers = nn.ModuleList(nn.Conv2d(count, CHANNELS, 1) for count in counts)
        for norm in self.norms:
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = [self.stem(x)]
        for norm, layer in zip(self.norms, self.layers, strict=True):
            found.append(layer(torch.relu(norm(torch.cat(found, 1)))))
        return torch.cat(found, 1).mean((2, 3))


LAYERS = 2 * PARTS_AT_ONCE + 1
"""The last one reads two whole groups and two images more."""


def test_dense_blocks(check) -> None:
    check(Dense(LAYERS), torch.randn(1, 3, 5, 7))


def test_a_group_is_joined_once() -> None:
    """A layer more costs kernels of at most `PARTS_AT_ONCE` images, and a whole group no second copy."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(Dense(LAYERS).eval(), (torch.randn(1, 3, 5, 7),))
    spec = load_target("x86-64-v3")
    module = lower_networks({EntryKey(batch=1): import_exported(program)}, machine_of(spec, block=8))
    joining = {name: f for name, f in module.functions_items() if "concatenate" in name.name_hint}
    images = [sum(len(p.shape) == 5 for p in f.params) for f in joining.values() if isinstance(f, tirx.PrimFunc)]
    assert max(images) <= PARTS_AT_ONCE + 3  # the output's, and the norm's two
    calls: list[relax.Call] = []
    (main,) = (f for f in module.functions.values() if isinstance(f, relax.Function))
    relax.analysis.post_order_visit(main, lambda e: calls.append(e) if isinstance(e, relax.Call) else None)
    whole = [
        call
        for call in calls
        if isinstance(call.args[0], tvm.ir.GlobalVar)
        and call.args[0].name_hint.startswith("concatenate")
        and len(call.args[1].fields) == PARTS_AT_ONCE
    ]
    assert len({tuple(map(hash, call.args[1].fields)) for call in whole}) == len(whole)
