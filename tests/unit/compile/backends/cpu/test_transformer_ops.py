"""Products, attention, softmax, layer norm and what fuses behind them, compiled and compared with torch.

Every case runs for 16 lanes with 32 registers: AVX-512; and, marked slow, for 8 with 16 and 4 with 32: AVX2 and NEON.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import tvm
from torch import nn
from torch.nn.functional import scaled_dot_product_attention, softmax
from tvm import relax

from ovenbird.backends.codegen_pipeline import codegen_pipeline
from ovenbird.backends.cpu.machine import Machine
from ovenbird.backends.cpu.pipeline import lower_networks
from ovenbird.backends.cpu.schedules import schedule_function
from ovenbird.lowering.entry_key import EntryKey
from ovenbird.networks.torch.importer import import_exported
from support.codegen import Function

MACHINES = [(16, 32), (8, 16), (4, 32)]
"""Lanes and registers, the widest first; the others are marked slow."""

pytestmark = [
    pytest.mark.parametrize(
        "machine",
        [
            pytest.param(shape, id=f"{shape[0]}-lanes", marks=[pytest.mark.slow] if number else [])
            for number, shape in enumerate(MACHINES)
        ],
        indirect=True,
    ),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


class Compiler:
    """One machine's; a network is traced, and asked for its answer, once for all machines."""

    traced: ClassVar[dict[str, tuple[tvm.IRModule, np.ndarray]]] = {}

    def __init__(self, lanes: int, registers: int, test: str) -> None:
        self.machine = Machine(
            vector_bytes=4 * lanes, registers=registers, l1_bytes=32 << 10, l2_bytes=1 << 20, cores=2
        )
        self.test, self.networks = test, 0

    def trace(self, network: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[tvm.IRModule, np.ndarray]:
        """Return the test's next network as a Relax module, and its output in float64."""
        self.networks += 1
        key = f"{self.test} {self.networks}"
        if key not in self.traced:
            network = network.eval()
            imported = import_exported(torch.export.export(network, inputs))
            with torch.no_grad():
                self.traced[key] = imported, network.double()(*[x.double() for x in inputs]).numpy()
        return self.traced[key]


@pytest.fixture
def machine(request: pytest.FixtureRequest) -> Compiler:
    lanes, registers = request.param
    return Compiler(lanes, registers, request.node.name.replace(f"{lanes}-lanes", ""))


def run(network: nn.Module, compiler: Compiler, *inputs: torch.Tensor) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The compiled network's output, torch's in float64, and the names of the compiled functions."""
    imported, expected = compiler.trace(network, inputs)
    lowered = lower_networks({EntryKey(): imported}, compiler.machine)
    functions: dict[Any, Any] = {}
    for name, function in lowered.functions_items():
        if isinstance(function, tvm.tirx.PrimFunc):
            function = schedule_function(function, compiler.machine).with_attr("global_symbol", name.name_hint)
        functions[name] = function
    built = relax.build(tvm.IRModule(functions), tvm.target.Target({"kind": "llvm"}), tir_pipeline=codegen_pipeline())
    result = relax.VirtualMachine(built, tvm.cpu())["main_b1"](*[tvm.runtime.tensor(x.numpy()) for x in inputs])
    result = result if hasattr(result, "numpy") else result[0]
    return result.numpy(), expected, [name.name_hint for name in functions if name.name_hint != "main_b1"]


def error(result: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference relative to the output's scale."""
    return float(np.max(np.abs(result - expected)) / max(1.0, np.max(np.abs(expected))))


def randn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("shape", [(1, 64), (5, 64), (17, 50), (2, 197, 96), (1, 3, 7, 33)])
def test_layer_norm(shape: tuple[int, ...], machine: Compiler) -> None:
    norm = nn.LayerNorm(shape[-1])
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    result, expected, names = run(norm, machine, randn(*shape))
    assert names == ["layer_norm"]
    assert error(result, expected) <= 2e-6


def test_layer_norm_far_from_zero(machine: Compiler) -> None:
    result, expected, _ = run(nn.LayerNorm(96), machine, randn(5, 96) + 100.0)
    assert error(result, expected) <= 1e-4  # the inputs themselves are rounded to 1e-5


@pytest.mark.parametrize("shape", [(1, 10), (5, 1), (17, 49), (2, 3, 5, 197)])
def test_softmax(shape: tuple[int, ...], machine: Compiler) -> None:
    result, expected, names = run(Function(lambda x: softmax(x, -1)), machine, randn(*shape) * 30)
    assert names == ["softmax"]
    assert error(result, expected) <= 1e-6


@pytest.mark.parametrize("place", [0, 15, 21, 36])
def test_softmax_of_a_row_with_nan_anywhere(place: int, machine: Compiler) -> None:
    rows = randn(3, 37)
    rows[1, place] = float("nan")
    result, expected, _ = run(Function(lambda x: softmax(x, -1)), machine, rows)
    np.testing.assert_allclose(result, expected, atol=1e-6)


def test_softmax_of_infinities_and_nan(machine: Compiler) -> None:
    rows = torch.tensor([[0.0, -np.inf, 1.0], [np.nan, 0.0, 1.0], [-np.inf] * 3, [3e38, -3e38, 0.0]])
    result, expected, _ = run(Function(lambda x: softmax(x, -1)), machine, rows)
    np.testing.assert_allclose(result, expected, atol=1e-6)


@pytest.mark.parametrize(
    "rows", [1, pytest.param(5, marks=pytest.mark.slow), 17, pytest.param(197, marks=pytest.mark.slow)]
)
def test_linear_and_gelu_are_one_function(rows: int, machine: Compiler) -> None:
    network = nn.Sequential(nn.Linear(40, 50), nn.GELU())
    result, expected, names = run(network, machine, randn(1, rows, 40))
    assert len(names) == 1
    assert error(result, expected) <= 2e-6


def test_rows_of_rows_that_tiles_do_not_divide(machine: Compiler) -> None:
    result, expected, _ = run(nn.Linear(60, 6), machine, randn(1, 32, 7, 60))
    assert error(result, expected) <= 2e-6


@pytest.mark.parametrize(
    ("left", "right"),
    [((3, 17, 20), (3, 20, 33)), ((2, 3, 5, 8), (2, 3, 8, 16)), ((17, 9), (9, 5)), ((2, 5, 8), (8, 6))],
)
def test_product_of_two_activations(left: tuple[int, ...], right: tuple[int, ...], machine: Compiler) -> None:
    result, expected, _ = run(Function(torch.matmul), machine, randn(*left), randn(*right))
    assert error(result, expected) <= 2e-6


@pytest.mark.parametrize("rows", [1, 2])
def test_few_rows_read_a_cache_where_it_lies(rows: int, machine: Compiler) -> None:
    """One layer of a cache of several, neither copied nor packed; a width that fills no blocks is packed."""

    def product(x: torch.Tensor, cache: torch.Tensor) -> torch.Tensor:
        return x @ cache[:, 1]

    result, expected, names = run(Function(product), machine, randn(3, 4, rows, 20), randn(3, 2, 4, 20, 32))
    assert names == ["batch_matmul"]
    assert error(result, expected) <= 2e-6
    result, expected, names = run(Function(product), machine, randn(3, 4, rows, 20), randn(3, 2, 4, 20, 33))
    assert "pack_right" in names
    assert error(result, expected) <= 2e-6


@pytest.mark.parametrize("heads", [1, pytest.param(2, marks=pytest.mark.slow), 3])
@pytest.mark.parametrize(("rows", "columns", "depth"), [(1, 5, 8), (17, 17, 20), (50, 33, 16), (197, 197, 64)])
def test_attention_is_one_function(rows: int, columns: int, depth: int, heads: int, machine: Compiler) -> None:
    inputs = randn(1, heads, rows, depth), randn(1, heads, columns, depth), randn(1, heads, columns, depth + 4)
    result, expected, names = run(Function(scaled_dot_product_attention), machine, *inputs)
    assert "attention" in names
    assert not any(name.startswith(("batch_matmul", "softmax")) for name in names)
    assert error(result, expected) <= 2e-6


@pytest.mark.parametrize("shape", [(17, 30), (1, 17, 30), (2, 1, 17, 30), (2, 3, 1, 30)])
def test_attention_with_mask(shape: tuple[int, ...], machine: Compiler) -> None:
    mask = torch.where(randn(*shape) > 0.5, -torch.inf, randn(*shape))
    mask[..., 0] = 0.0
    inputs = randn(2, 3, 17, 16), randn(2, 3, 30, 16), randn(2, 3, 30, 16), mask
    result, expected, names = run(Function(scaled_dot_product_attention), machine, *inputs)
    assert "attention" in names
    assert error(result, expected) <= 2e-6


def test_a_row_masked_everywhere(machine: Compiler) -> None:
    mask = torch.zeros(5, 9)
    mask[2] = -torch.inf
    inputs = randn(1, 2, 5, 8), randn(1, 2, 9, 8), randn(1, 2, 9, 8), mask
    result, expected, _ = run(Function(scaled_dot_product_attention), machine, *inputs)
    np.testing.assert_allclose(result, expected, atol=1e-6)  # torch gives zeros there, so both agree
    plain = Function(lambda q, k, v, mask: softmax(q @ k.transpose(-1, -2) + mask, -1) @ v)
    result, expected, _ = run(plain, machine, *inputs)
    np.testing.assert_allclose(result, expected, atol=2e-6)  # without the guard: NaN in both


def test_nan_and_large_scores_in_attention(machine: Compiler) -> None:
    query, key, value = randn(1, 1, 5, 8) * 200, randn(1, 1, 9, 8), randn(1, 1, 9, 8)
    query[0, 0, 3, 0] = np.nan
    result, expected, _ = run(Function(scaled_dot_product_attention), machine, query, key, value)
    assert np.array_equal(np.isnan(result), np.isnan(expected))
    np.testing.assert_allclose(result, expected, atol=1e-4)


def test_scale_behind_a_mask_reaches_the_mask(machine: Compiler) -> None:
    network = Function(lambda q, k, v, mask: softmax((q @ k.transpose(-1, -2) + mask) * 0.5, -1) @ v)
    inputs = randn(1, 2, 5, 8), randn(1, 2, 9, 8), randn(1, 2, 9, 8), randn(5, 9)
    result, expected, _ = run(network, machine, *inputs)
    assert error(result, expected) <= 2e-6


def test_encoder_layer(machine: Compiler) -> None:
    layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True, activation="gelu")
    result, expected, names = run(layer, machine, randn(2, 33, 64))
    assert "attention" in names
    assert error(result, expected) <= 3e-6


def test_padding_by_nothing(machine: Compiler) -> None:
    network = Function(lambda x: torch.nn.functional.pad(x, (0, 0, 0, 0)).relu())
    result, expected, _ = run(network, machine, randn(1, 2, 5, 6))
    assert error(result, expected) == 0.0


def test_scatter_between_fused_functions(machine: Compiler) -> None:
    def scatter(x: torch.Tensor) -> torch.Tensor:
        doubled = (x * 2).clone()
        doubled[1:3] = x[0:2] + 1
        return doubled.relu()

    result, expected, _ = run(Function(scatter), machine, randn(5, 6))
    assert error(result, expected) <= 1e-6
