"""Products of bfloat16: their rounding, their sums as written out, and the instructions of those that have them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import tvm
from torch import nn
from tvm import relax

from ovenbird.backends.base import BuildOptions
from ovenbird.backends.building import build_module
from ovenbird.lowering.built import BuiltModule
from ovenbird.lowering.entry_key import EntryKey
from ovenbird.networks.importing import import_exported
from ovenbird.operators.bfloat16.numbers import bits, widened
from ovenbird.targets import load_target


class Layers(nn.Module):
    """Convolutions 3x3, 1x1 and strided in groups, and a product of an odd number of inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.square, self.point = nn.Conv2d(32, 48, 3, padding=1), nn.Conv2d(48, 32, 1)
        self.groups, self.matrix = nn.Conv2d(32, 32, 3, stride=2, groups=2), nn.Linear(33, 20)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.groups(self.point(self.square(x).relu())), self.matrix(y)


def rounded(x: torch.Tensor) -> torch.Tensor:
    """Return what torch makes of numbers in bfloat16, as float64."""
    return x.detach().to(torch.bfloat16).double()


def right(layer: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    """Return a convolution of rounded numbers, summed in float64."""
    weight, bias = rounded(layer.weight), layer.bias.detach().double()
    return nn.functional.conv2d(rounded(x), weight, bias, layer.stride, layer.padding, 1, layer.groups).float()


def build(target: str) -> tuple[Layers, tuple[torch.Tensor, ...], BuiltModule]:
    """Return the layers, inputs, and their code in bf16."""
    torch.manual_seed(0)
    net, inputs = Layers().eval(), (torch.randn(1, 32, 9, 9), torch.randn(5, 33))
    module = import_exported(torch.export.export(net, inputs))
    return net, inputs, build_module({EntryKey(): module}, load_target(target), BuildOptions(precision="bf16"))


def test_numbers_are_rounded_as_torch_rounds_them() -> None:
    whole = np.random.default_rng(0).integers(0, 1 << 32, 100_000, np.uint64).astype(np.uint32)
    halves = (np.arange(1 << 16, dtype=np.uint32) << 16) + 0x8000
    array = np.concatenate([whole, halves]).view(np.float32)
    wanted = torch.from_numpy(array).to(torch.bfloat16).float().numpy()
    found = widened(bits(array))
    assert np.array_equal(found, wanted, equal_nan=True)


def test_sums_are_those_of_rounded_numbers() -> None:
    net, (x, y), built = build("x86-64-v2")
    machine, (entry,) = relax.VirtualMachine(built.executable, tvm.cpu()), built.entries
    weights = [tvm.runtime.tensor(built.tensors[index]) for index in entry.weights]
    found = machine[entry.function](*(tvm.runtime.tensor(one.numpy()) for one in (x, y)), *weights)
    image = right(net.groups, right(net.point, right(net.square, x).relu()))
    matrix = (rounded(y) @ rounded(net.matrix.weight).T + net.matrix.bias.detach().double()).float()
    for one, wanted, exact in zip(found, (image, matrix), net(x, y), strict=True):
        error = np.abs(one.numpy() - wanted.numpy()).max()
        assert error < 1e-5 < 1e-3 < np.abs(one.numpy() - exact.detach().numpy()).max()


@pytest.mark.parametrize(
    ("target", "instruction", "unwanted"),
    [("x86-64-cooperlake", "vdpbf16ps", "vfmadd"), ("aarch64-neoverse-v1", "bfdot", "fmla\t")],
)
def test_two_products_are_one_instruction(target: str, instruction: str, unwanted: str) -> None:
    (library,) = build(target)[2].executable.mod.imports
    code = str(library.inspect_source("asm"))
    assert code.count(instruction) > 100
    assert unwanted not in code
    assert "ovenbird_two_products" not in code, "a call, or a symbol of its own"
