"""Products with one matrix, written as one product: torch repeats the matrix for every group of rows it cannot view.

    core = with_whole_products(core)        # for run_decompositions

After a transpose, as between the windows of an attention, `nn.Linear` would become a product of many small matrices
with as many copies of its weight.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


def with_whole_products(core: Mapping[Any, Callable[..., Any]]) -> dict[Any, Callable[..., Any]]:
    """Return the definitions, but for products of several groups of rows with a matrix."""
    given_linear, given_matmul = core[aten.linear.default], core[aten.matmul.default]

    def linear(data: Tensor, weight: Tensor, bias: Tensor | None = None) -> Any:
        if data.dim() < 3 or weight.dim() != 2:
            return given_linear(data, weight, bias)
        return _product(data, weight.t(), bias)

    def matmul(one: Tensor, two: Tensor) -> Any:
        return _product(one, two) if one.dim() >= 3 and two.dim() == 2 else given_matmul(one, two)

    return {**core, aten.linear.default: linear, aten.matmul.default: matmul}


def _product(data: Tensor, matrix: Tensor, bias: Tensor | None = None) -> Tensor:
    rows = data.reshape(math.prod(data.shape[:-1]), data.shape[-1])
    found = torch.mm(rows, matrix) if bias is None else torch.addmm(bias, rows, matrix)
    return found.reshape(*data.shape[:-1], matrix.shape[1])
