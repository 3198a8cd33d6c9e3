"""A torch network as a source: its answers to its own examples, and in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from ovenbird.networks.torch.source import TorchSource
from ovenbird.networks.torch.tracing import Traced


class Cancelling(nn.Module):
    """Loses all but a few digits of its input in float32."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x + 4096.0) - torch.full((1,), 4096.0)


def of(net: nn.Module, *examples: torch.Tensor) -> TorchSource:
    return TorchSource(Traced.of(net, examples))


def test_closer_answers_are_computed_in_float64() -> None:
    source = of(Cancelling(), torch.zeros(1, 5))
    x = np.linspace(0.1, 0.9, 15, dtype=np.float32).reshape(3, 5)
    (rough,), closer = source.reference([x]), source.closer([x])
    assert closer is not None
    assert closer[0].dtype == np.float32
    assert np.abs(rough - x).max() > 1e-5
    assert np.abs(closer[0] - x).max() < 1e-7


def test_a_network_without_float64_has_nothing_closer() -> None:
    class Whole(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.view(torch.int32).float() * 0 + x

    assert of(Whole(), torch.zeros(1, 4)).closer([np.zeros((1, 4), np.float32)]) is None


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_answers_have_the_form_that_the_network_gives(rows: int, dtype: torch.dtype) -> None:
    class Widened(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return torch.cat([x, x], 1) * 2, (x > 1).sum(1)

    source = of(Widened(), torch.arange(4.0 * rows).reshape(rows, 4).to(dtype))
    given = source.reference(source.examples(1))
    assert source.answer_forms() == [(answer.shape, answer.dtype) for answer in given]
