"""Programs in torch's quantized form (PT2E), written out as its quantizers convert them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from ovenbird.errors import NetworkUnsafe
from ovenbird.networks.pt2.program import check_operator
from ovenbird.networks.pt2.reading import read_program
from ovenbird.targets import load_target
from support.codegen import Case, run_together, traced
from support.relax_calls import calls_of, made_by

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch.ao.quantization.fx import _decomposed  # noqa: F401 - declares the operators

q = torch.ops.quantized_decomposed


class Quantized(nn.Module):
    """A convolution and a linear layer, as `convert_pt2e` leaves them."""

    def __init__(self, dtype: torch.dtype, least: int, most: int) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.dtype, self.least, self.most = dtype, least, most
        self.register_buffer("weight", torch.randint(-127, 128, (6, 3, 3, 3), dtype=torch.int8))
        self.register_buffer("scales", torch.rand(6) * 0.004 + 0.001)
        self.register_buffer("zeros", torch.zeros(6, dtype=torch.int64))
        self.register_buffer("dense", torch.randint(-127, 128, (5, 6), dtype=torch.int8))
        self.bias = nn.Parameter(torch.randn(6))

    def through(self, x: torch.Tensor, scale: float, zero: int) -> torch.Tensor:
        zero += self.least
        x = q.quantize_per_tensor(x, scale, zero, self.least, self.most, self.dtype)
        return q.dequantize_per_tensor(x, scale, zero, self.least, self.most, self.dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = q.dequantize_per_channel(self.weight, self.scales, self.zeros, 0, -128, 127, torch.int8)
        x = functional.conv2d(self.through(x, 0.05, 64), weight, self.bias).relu()
        x = self.through(x, 0.02, 0).mean((2, 3))
        dense = q.dequantize_per_tensor(self.dense, 0.01, 0, -127, 127, torch.int8)
        return self.through(functional.linear(self.through(x, 0.01, 0), dense), 0.05, 64)


NETWORKS = {
    "uint8": Quantized(torch.uint8, 0, 255),
    "int8": Quantized(torch.int8, -128, 127),
    "seven bits": Quantized(torch.uint8, 0, 127),
}
CASES = tuple(Case(network.eval(), (torch.randn(1, 3, 8, 8) * 2,)) for network in NETWORKS.values())


@pytest.fixture(scope="module")
def answers() -> dict[str, Any]:
    return dict(zip(NETWORKS, run_together(CASES, load_target("host")), strict=True))


@pytest.mark.parametrize("index", range(len(CASES)), ids=NETWORKS)
def test_a_quantized_program_answers_as_in_torch(index: int, answers: dict[str, Any]) -> None:
    with torch.no_grad():
        (right,) = CASES[index].run()
    (found,) = list(answers.values())[index]
    assert np.abs(found - right.numpy()).max() <= 0.05 + 1e-6
    assert len(np.unique(right)) > 3


def test_weights_stay_of_eight_bits_and_lie_as_they_are_multiplied() -> None:
    function = traced(CASES)["main"]
    layers = calls_of(function, "relax.nn.conv2d", "relax.matmul")
    assert len(layers) == 2 * len(CASES)
    for layer in layers:
        data, weight = (made_by(function, argument) for argument in layer.args)
        assert data.op.name == weight.op.name == "relax.dequantize"
        assert str(weight.args[0].value.dtype) == "int8"
        assert str(data.args[0].ty.dtype.dtype) == "uint8"


def test_a_file_of_a_quantized_program_is_read(tmp_path: Path) -> None:
    program = torch.export.export(NETWORKS["uint8"], CASES[0].inputs)
    torch.export.save(program, tmp_path / "net.pt2")
    read = read_program(tmp_path / "net.pt2").module()
    torch.testing.assert_close(read(*CASES[0].inputs), CASES[0].run()[0])


def test_other_names_beside_the_quantizers_are_refused() -> None:
    check_operator("torch.ops.quantized_decomposed.quantize_per_tensor.default")
    for name in ("quantized_decomposed.choose_qparams.tensor", "quantized_decomposed.quantize_per_tensor.name"):
        with pytest.raises(NetworkUnsafe):
            check_operator(f"torch.ops.{name}")
