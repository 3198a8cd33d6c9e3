"""Layers between transposes: one product with one matrix, whatever torch would repeat."""

import re

import torch
import torch.nn.functional as F
from torch import nn
from torch.export import default_decompositions

from ovenbird.networks.torch.products import with_whole_products
from ovenbird.networks.torch.source import TorchSource
from ovenbird.networks.torch.tracing import Traced

aten = torch.ops.aten


class Windows(nn.Module):
    """What an attention in windows does: linear layers on tensors that are no views of rows."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(16, 48), nn.Linear(48, 8, bias=False)
        self.matrix = nn.Parameter(torch.randn(8, 4))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        windows = image.reshape(-1, 2, 7, 2, 7, 16).transpose(2, 3)
        values = self.two(self.one(windows).transpose(1, 2)).transpose(2, 3)
        return values @ self.matrix


def test_a_matrix_is_not_repeated_for_each_group_of_rows() -> None:
    module = TorchSource(Traced.of(Windows().eval(), torch.randn(1, 14, 14, 16))).relax(1)
    products = [line for line in str(module).splitlines() if "R.matmul" in line]
    shapes = [re.findall(r"R\.Tensor\(\(([\d, ]+)\)", line)[0] for line in products]
    assert shapes == ["196, 48", "196, 8", "196, 4"]


def test_products_are_torchs() -> None:
    core = with_whole_products(default_decompositions().materialize())
    linear, matmul = core[aten.linear.default], core[aten.matmul.default]
    weight, bias = torch.randn(5, 4), torch.randn(5)
    for shape in ((2, 3, 4), (1, 2, 3, 4), (2, 0, 4)):
        data = torch.randn(shape).transpose(0, 1)
        torch.testing.assert_close(linear(data, weight, bias), F.linear(data, weight, bias))
        torch.testing.assert_close(linear(data, weight), F.linear(data, weight))
        torch.testing.assert_close(matmul(data, weight.t()), data @ weight.t())
    for one, two in (((4,), (4,)), ((3, 4), (4, 5)), ((2, 3, 4), (4,)), ((3, 4), (2, 4, 5)), ((2, 3, 4), (2, 4, 5))):
        left, right = torch.randn(one), torch.randn(two)
        torch.testing.assert_close(matmul(left, right), left @ right)
