"""Targets of different vector widths read one set of packed weights: the same bytes, the right numbers."""

import platform
import warnings

import numpy as np
import pytest
import torch
import tvm
from torch import nn
from tvm import relax

from ovenbird.backends.base import BuildOptions
from ovenbird.backends.building import build_module
from ovenbird.backends.cpu.machine import machine_of
from ovenbird.backends.cpu.packing import packing_of
from ovenbird.backends.cpu.schedules.tile_choice import Extents, Tile, choose_tile, fits
from ovenbird.lowering.entry_key import EntryKey
from ovenbird.networks.torch.importer import import_exported
from ovenbird.targets import load_target
from ovenbird_runtime.machine.cpu import this_machine

NAMES = ("x86-64-v2", "x86-64-v3", "x86-64-v4", "aarch64-generic")


class Network(nn.Module):
    """Every kind of packed weight: from a plain image, Winograd, 1x1, grouped, depthwise, matrix product."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 32, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.Conv2d(64, 40, 1),
            nn.Conv2d(40, 40, 3, padding=1, groups=40),
            nn.Conv2d(40, 48, 3, 2, 1, groups=2),
            nn.MaxPool2d(2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(48, 20),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.layers(x), dim=1)


def test_a_block_of_several_vectors_fits_the_registers() -> None:
    narrow, wide = (machine_of(load_target(name), block=16) for name in ("x86-64-v2", "x86-64-v4"))
    assert (narrow.parts("float32"), wide.parts("float32")) == (4, 1)
    assert fits(Tile(1, 1, 2), narrow)
    assert not fits(Tile(1, 1, 3), narrow)
    middle = machine_of(load_target("x86-64-v3"), block=16)
    assert choose_tile(Extents(16, 14, 12), middle).positions * 2 < middle.registers


def test_all_targets_pack_the_same_bytes_and_compute_the_same() -> None:
    torch.manual_seed(0)
    network, image = Network().eval(), torch.randn(1, 3, 40, 36)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.export's own deprecations
        module = import_exported(torch.export.export(network, (image,)))
    packing = packing_of(load_target("x86-64-v4"), None)
    assert packing.block == 16
    with torch.no_grad():
        expected = network(image).numpy()
    first: list[bytes] | None = None
    here = this_machine()
    for name in NAMES:
        spec = load_target(name)
        built = build_module({EntryKey(): module}, spec, BuildOptions(packing=packing))
        tensors = [tensor.tobytes() for tensor in built.tensors]
        assert tensors == (first or tensors)
        first = tensors
        if spec.arch != here.arch or not set(spec.features) <= here.features:
            continue
        machine = relax.VirtualMachine(built.executable, tvm.cpu())
        weights = [tvm.runtime.tensor(built.tensors[index]) for index in built.entries[0].weights]
        found = machine[built.entries[0].function](tvm.runtime.tensor(image.numpy()), *weights)[0].numpy()
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the host of this test is x86-64")
def test_a_single_target_packs_by_its_own_vectors() -> None:
    assert packing_of(load_target("x86-64-v3"), None).block == 8
