"""What a build without one optimisation looks like: the optimisation is gone, the others are there."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from tvm import tirx

from ovenbird.backends.base import BuildOptions
from ovenbird.backends.cpu.machine import Machine, machine_of
from ovenbird.backends.cpu.pipeline import lower_networks
from ovenbird.backends.cpu.schedules import schedule_function
from ovenbird.backends.optimisations import OPTIMISATIONS, Optimisation
from ovenbird.compiling import compile_network
from ovenbird.errors import UsageError
from ovenbird.lowering.entry_key import EntryKey
from ovenbird.networks.torch.importer import import_exported
from ovenbird.options import CompileOptions
from ovenbird.targets import load_target
from support.codegen import Case, run_together


class Net(nn.Module):
    """A convolution that Winograd's algorithm suits, a batch norm, a ReLU, and attention of what they give."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(32, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32)
        self.norm.running_var.uniform_(0.5, 2)
        self.dense = nn.Linear(32, 32)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        rows = self.dense(torch.relu(self.norm(self.conv(image))).flatten(2).transpose(1, 2))
        heads = rows.reshape(rows.shape[0], -1, 2, 16).transpose(1, 2)
        return torch.nn.functional.scaled_dot_product_attention(heads, heads, heads)


@pytest.fixture(scope="module")
def imported() -> Any:
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(Net().eval(), (torch.randn(1, 32, 8, 8),))
    return import_exported(program)


@pytest.fixture(scope="module")
def machine() -> Machine:
    return machine_of(load_target("x86-64-v3"))


def kernels(imported: Any, machine: Machine, *without: Optimisation) -> dict[str, tirx.PrimFunc]:
    lowered = lower_networks({EntryKey(): imported}, machine, without=frozenset(without))
    found = lowered.functions_items()
    return {name.name_hint: function for name, function in found if isinstance(function, tirx.PrimFunc)}


def one(found: dict[str, tirx.PrimFunc], part: str) -> str:
    (name,) = (name for name in found if part in name)
    return name


def test_all_of_them(imported: Any, machine: Machine) -> None:
    found = kernels(imported, machine)
    assert "relu" in one(found, "winograd")
    assert "multiply" not in one(found, "winograd")  # the norm's scale lies in the weights
    assert one(found, "attention")
    assert len(next(iter(found[one(found, "winograd")].params)).shape) == 5


def test_folding(imported: Any, machine: Machine) -> None:
    assert "multiply" in one(kernels(imported, machine, "folding"), "winograd")


def test_layouts(imported: Any, machine: Machine) -> None:
    found = kernels(imported, machine, "layouts")
    assert not any(len(parameter.shape) == 5 for function in found.values() for parameter in function.params)
    assert not {"pack", "unpack"} & {name.rstrip("0123456789") for name in found}
    assert "multiply" not in one(found, "conv2d")  # folded all the same
    assert "pack_right" in found  # the weights of the product, at each call


def test_fusion(imported: Any, machine: Machine) -> None:
    found = kernels(imported, machine, "fusion")
    assert {"relu", "softmax"} <= {name.rstrip("0123456789") for name in found}
    assert not any("attention" in name for name in found)
    assert one(found, "winograd").startswith("winograd")


def test_winograd(imported: Any, machine: Machine) -> None:
    found = kernels(imported, machine, "winograd")
    assert not any("winograd" in name for name in found)
    assert "relu" in one(found, "conv2d")


def test_tiles(imported: Any, machine: Machine) -> None:
    function = kernels(imported, machine, "winograd")
    conv = function[one(function, "conv2d")].with_attr("global_symbol", "main")
    tiled, plain = (schedule_function(conv, machine, by_anchor=by_anchor) for by_anchor in (True, False))
    assert 'scope="local"' in tiled.script()
    assert 'scope="local"' not in plain.script()


@pytest.mark.parametrize(
    "without",
    [one if one in ("fusion", "winograd") else pytest.param(one, marks=pytest.mark.slow) for one in OPTIMISATIONS],
)
def test_the_answers_stay(without: Optimisation) -> None:
    case = Case(Net().eval(), (torch.randn(1, 32, 8, 8),))
    ((found,),) = run_together([case], load_target("host"), BuildOptions(without=frozenset({without})))
    with torch.no_grad():
        np.testing.assert_allclose(found, case.run()[0].numpy(), atol=1e-5)


def test_a_backend_that_cannot(tmp_path: Path) -> None:
    options = CompileOptions(targets=("cuda-sm80",), without=frozenset({"winograd"}))
    with pytest.raises(UsageError, match="--target cuda-sm80: its backend cannot leave out winograd"):
        compile_network(None, tmp_path / "net", options)  # type: ignore[arg-type]
