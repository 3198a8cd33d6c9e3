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
from ovenbird.networks.torch.importer import import_exported
from ovenbird.operators.bfloat16.numbers import bits, widened
from ovenbird.targets import load_target
from ovenbird_runtime.machine.cpu import this_machine


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
    return net, inputs, code_of(net, inputs, target)


def code_of(net: nn.Module, inputs: tuple[torch.Tensor, ...], target: str = "x86-64-v2") -> BuiltModule:
    """Return a network's code in bf16; for the plain target products are written out."""
    module = import_exported(torch.export.export(net.eval(), inputs))
    return build_module({EntryKey(): module}, load_target(target), BuildOptions(precision="bf16"))


def answers(built: BuiltModule, *inputs: torch.Tensor) -> list[np.ndarray]:
    """Return what the code gives."""
    machine, (entry,) = relax.VirtualMachine(built.executable, tvm.cpu()), built.entries
    weights = [tvm.runtime.tensor(built.tensors[index]) for index in entry.weights]
    found = machine[entry.function](*(tvm.runtime.tensor(one.numpy()) for one in inputs), *weights)
    return [found.numpy()] if hasattr(found, "numpy") else [one.numpy() for one in found]


def test_numbers_are_rounded_as_torch_rounds_them() -> None:
    whole = np.random.default_rng(0).integers(0, 1 << 32, 100_000, np.uint64).astype(np.uint32)
    halves = (np.arange(1 << 16, dtype=np.uint32) << 16) + 0x8000
    array = np.concatenate([whole, halves]).view(np.float32)
    wanted = torch.from_numpy(array).to(torch.bfloat16).float().numpy()
    found = widened(bits(array))
    assert np.array_equal(found, wanted, equal_nan=True)


def test_sums_are_those_of_rounded_numbers() -> None:
    net, (x, y), built = build("x86-64-v2")
    found = answers(built, x, y)
    image = right(net.groups, right(net.point, right(net.square, x).relu()))
    matrix = (rounded(y) @ rounded(net.matrix.weight).T + net.matrix.bias.detach().double()).float()
    for one, wanted, exact in zip(found, (image, matrix), net(x, y), strict=True):
        error = np.abs(one - wanted.numpy()).max()
        assert error < 1e-5 < 1e-3 < np.abs(one - exact.detach().numpy()).max()


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


@pytest.mark.parametrize(
    ("kernel", "options", "size"),
    [
        (3, {"stride": 2, "padding": 1}, (20, 20)),
        (7, {"stride": 2, "padding": 3}, (19, 23)),
        (4, {"stride": 4}, (16, 12)),
        (1, {}, (5, 7)),
        ((5, 2), {"padding": (0, 1), "dilation": (2, 1)}, (17, 9)),
        (3, {"dilation": 2}, (9, 9)),  # columns with gaps: in float32
    ],
)
def test_a_first_layer_multiplies_pairs_of_columns(kernel, options, size) -> None:
    torch.manual_seed(1)
    net, x = nn.Conv2d(3, 20, kernel, **options), torch.randn(2, 3, *size)
    (found,) = answers(code_of(net, (x,)), x)
    exact = options.get("dilation") == 2
    weight, image = (one.detach().double() if exact else rounded(one) for one in (net.weight, x))
    wanted = nn.functional.conv2d(image, weight, net.bias.detach().double(), net.stride, net.padding, net.dilation)
    assert np.abs(found - wanted.numpy()).max() < 1e-5


class Residual(nn.Module):
    """A sum with what a layer reads as well, twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = (nn.Conv2d(16, 16, 3, padding=1) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.first(x).relu()
        z = (self.second(y) + y).relu()
        return self.third(z) + z


def test_a_residual_is_added_as_the_layer_beside_it_reads_it() -> None:
    torch.manual_seed(2)
    net, x = Residual(), torch.randn(1, 16, 12, 12)
    built = code_of(net, (x,))
    (found,) = answers(built, x)
    y = right(net.first, x).relu()
    z = (right(net.second, y) + rounded(y).float()).relu()
    wanted = right(net.third, z) + rounded(z).float()
    assert np.abs(found - wanted.numpy()).max() < 1e-4  # numbers half way between two may be rounded otherwise
    assert np.mean(np.abs(found - wanted.numpy()) > 1e-5) < 0.01
    alone = [layer for layer in built.layers if layer.name.startswith(("round", "widen"))]
    assert len(alone) <= 1, "the input; all else is the end of a kernel"


class Attention(nn.Module):
    """Attention of 2 heads to `columns` rows of another sequence; a mask hides some of them, from one row all."""

    def __init__(self, columns: int, masked: bool) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(24, 24) for _ in range(3))
        hidden = torch.rand(1, 1, 9, columns) < 0.3
        self.register_buffer("mask", torch.where(hidden, float("-inf"), 0.0) if masked else None)

    def heads(self, layer: nn.Linear, x: torch.Tensor) -> torch.Tensor:
        return layer(x).view(*x.shape[:2], 2, 12).transpose(1, 2)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        query, key, value = self.heads(self.query, x), self.heads(self.key, y), self.heads(self.value, y)
        found = nn.functional.scaled_dot_product_attention(query, key, value, self.mask)
        return found.transpose(1, 2).flatten(2)

    def rounded(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return the answer where all that is multiplied was rounded, in float64."""

        def heads(layer: nn.Linear, z: torch.Tensor) -> torch.Tensor:
            rows = rounded(z) @ rounded(layer.weight).T + layer.bias.detach().double()
            return rounded(rows.float()).view(*z.shape[:2], 2, 12).transpose(1, 2)

        query, key, value = heads(self.query, x), heads(self.key, y), heads(self.value, y)
        scores = query @ key.transpose(2, 3) * 12**-0.5 + (0 if self.mask is None else self.mask)
        powers = rounded(torch.exp(scores - scores.amax(-1, keepdim=True)).float())
        return (powers @ value / powers.sum(-1, keepdim=True)).transpose(1, 2).flatten(2)


@pytest.mark.parametrize(("columns", "masked"), [(16, False), (19, False), (19, True)])
@pytest.mark.parametrize("target", ["x86-64-v2", "x86-64-cooperlake"])
def test_attention_multiplies_rounded_numbers(columns: int, masked: bool, target: str) -> None:
    if not runs_here(target):
        pytest.skip("this processor does not multiply bfloat16")
    torch.manual_seed(4)
    net, x, y = Attention(columns, masked), torch.randn(2, 9, 24), torch.randn(2, columns, 24)
    built = code_of(net, (x, y), target)
    (found,) = answers(built, x, y)
    wanted, exact = net.rounded(x, y).numpy(), net(x, y).detach().numpy()
    assert np.isfinite(found).all()
    error = np.abs(found - wanted)
    assert np.mean(error > 1e-5) < 0.1  # a number half way between two may be rounded otherwise
    assert error.mean() < 0.1 * np.abs(found - exact).mean()
    assert [layer.name for layer in built.layers if layer.name.startswith("round")] == []


def test_attention_rounds_what_others_read_in_float32() -> None:
    """The keys are an output as well: they come as float32, and attention reads them in bfloat16."""

    class Both(Attention):
        def forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return super().forward(x, y), self.heads(self.key, y)

    torch.manual_seed(5)
    net, x, y = Both(19, False), torch.randn(1, 9, 24), torch.randn(1, 19, 24)
    found, keys = answers(code_of(net, (x, y)), x, y)
    assert np.mean(np.abs(found - net.rounded(x, y).numpy()) > 1e-5) < 0.1
    rows = rounded(y) @ rounded(net.key.weight).T + net.key.bias.detach().double()
    assert np.abs(keys - rows.view(1, 19, 2, 12).transpose(1, 2).numpy()).max() < 1e-5


def test_what_is_no_number_stays_so() -> None:
    net, x = nn.Sequential(nn.Conv2d(16, 16, 1), nn.Conv2d(16, 16, 1)), torch.randn(1, 16, 4, 4)
    x[0, 3, 1, 2], x[0, 5, 2, 2] = torch.nan, torch.inf
    for target in ("x86-64-v2", *(["x86-64-cooperlake"] if runs_here("x86-64-cooperlake") else [])):
        (found,) = answers(code_of(net, (x,), target), x)
        finite = np.isfinite(found).all(axis=(0, 1))
        assert not finite[1, 2]
        assert not finite[2, 2]
        assert finite.sum() == 14


def runs_here(target: str) -> bool:
    """Return whether this machine has a target's instructions."""
    machine, spec = this_machine(), load_target(target)
    return spec.arch == machine.arch and set(spec.features) <= machine.features


@pytest.mark.skipif(not runs_here("x86-64-cooperlake"), reason="this processor does not multiply bfloat16")
def test_the_instructions_give_those_sums() -> None:
    _, (x, y), built = build("x86-64-cooperlake")
    found = answers(built, x, y)
    for one, plain in zip(found, answers(build("x86-64-v2")[2], x, y), strict=True):
        assert np.abs(one - plain).max() < 1e-2 * np.abs(plain).max()  # a sum half way is rounded otherwise
        assert np.mean(np.abs(one - plain) > 1e-5) < 0.2


def test_floats_are_rounded_by_one_instruction() -> None:
    (library,) = build("x86-64-cooperlake")[2].executable.mod.imports
    code = str(library.inspect_source("asm"))
    assert code.count("vcvtneps2bf16") >= 2
    assert "ovenbird_rounded" not in code, "a call, or a symbol of its own"
