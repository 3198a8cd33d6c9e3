"""`--precision f16` on processors: large matrices are stored in half precision, and widened as they are read."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import tvm
from torch import nn
from tvm import relax

from ovenbird.backends.base import BuildOptions
from ovenbird.backends.building import build_module
from ovenbird.backends.cpu.machine import machine_of
from ovenbird.backends.cpu.storage import MAX_ROWS, stored_weight
from ovenbird.lowering.built import BuiltModule
from ovenbird.lowering.entry_key import EntryKey
from ovenbird.networks.torch.importer import import_exported
from ovenbird.targets import load_target

DEPTH, WIDTH, ROWS = 1030, 2050, 3


class Wide(nn.Module):
    """A product by a matrix that no cache holds, and one by a small matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.large, self.small = nn.Linear(DEPTH, WIDTH), nn.Linear(WIDTH, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.small(self.large(x).relu())


def built(network: nn.Module, x: torch.Tensor, target: str) -> BuiltModule:
    found = dataclasses.replace(load_target(target), l2_bytes=1 << 20)
    return build_module({EntryKey(): import_exported(torch.export.export(network, (x,)))}, found, BuildOptions("f16"))


@pytest.fixture(scope="module")
def wide() -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    return Wide().eval(), torch.randn(ROWS, DEPTH)


def test_large_matrices_are_halves_and_nearly_the_same_comes_out(wide: tuple[nn.Module, torch.Tensor]) -> None:
    network, x = wide
    made = built(network, x, "host")
    halves = [array for array in made.tensors if array.dtype == np.float16]
    assert [array.size >= DEPTH * WIDTH for array in halves] == [True]
    machine = relax.VirtualMachine(made.executable, tvm.cpu())
    entry = made.entries[0]
    weights = [tvm.runtime.tensor(made.tensors[index]) for index in entry.weights]
    found = machine[entry.function](tvm.runtime.tensor(x.numpy()), *weights)
    given = (found if hasattr(found, "numpy") else found[0]).numpy()
    with torch.no_grad():
        right = network(x).numpy()
    error = np.sqrt(np.square(given - right).mean()) / right.std()
    assert 1e-6 < error < 2e-3


def test_processors_without_an_instruction_for_it_keep_float32(wide: tuple[nn.Module, torch.Tensor]) -> None:
    assert {str(array.dtype) for array in built(*wide, "x86-64-v2").tensors} == {"float32"}


def test_what_is_small_or_of_many_rows_or_too_large_a_number_stays() -> None:
    machine = dataclasses.replace(machine_of(load_target("x86-64-v3")), half_weights=True, l2_bytes=1 << 16)
    large = np.ones((16, 512, 16), np.float32)
    assert stored_weight(large, MAX_ROWS, machine).dtype == np.float16
    assert stored_weight(large, MAX_ROWS + 1, machine).dtype == np.float32
    assert stored_weight(large[:4], 1, machine).dtype == np.float32
    large[3, 2, 1] = 1e5
    assert stored_weight(large, 1, machine) is large
    assert stored_weight(large, 1, dataclasses.replace(machine, half_weights=False)) is large
