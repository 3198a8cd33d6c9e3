"""Limits follow what float32 alone does to a network, and no further."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ovenbird.networks.network import Network
from ovenbird.networks.torch.source import TorchSource
from ovenbird.networks.torch.tracing import Traced
from ovenbird.verify.cases import make_cases
from ovenbird.verify.rounding import MOST, ORDERS, allowing_for_rounding
from ovenbird_runtime.manifest.agreement import LIMITS, compare
from ovenbird_runtime.manifest.manifest import TensorSpec, WeightsInfo

F32 = LIMITS["f32"]


class Cancelling(nn.Module):
    """Means about a level that is taken away again: what is left was rounded to a share of the level."""

    def __init__(self, level: float) -> None:
        super().__init__()
        self.level = level

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x + self.level).cumsum(1) / 64 - self.level / 64 * torch.arange(1.0, 65.0)


def network(module: nn.Module) -> Network:
    source = TorchSource(Traced.of(module, [torch.zeros(1, 64)]))
    spec = [TensorSpec(name, "float32", ("N", 64)) for name in ("x", "y")]
    return Network("cancelling", "1", "", WeightsInfo("random"), (spec[0],), (spec[1],), source)


@pytest.mark.parametrize(("level", "least", "most"), [(0.0, 1.0, 1.0), (3e2, 1.2, MOST - 1), (1e7, MOST, MOST)])
def test_limits_are_as_loose_as_the_frameworks_own_rounding(level: float, least: float, most: float) -> None:
    net = network(Cancelling(level))
    cases = make_cases(net, (4,))
    references = {case.name: net.reference(case.inputs) for case in cases}
    found = allowing_for_rounding(net, cases, references, F32)
    assert least <= found.rms / F32.rms <= most
    assert found.peak / F32.peak == pytest.approx(found.rms / F32.rms)


def test_a_framework_without_float64_changes_nothing() -> None:
    class Plain:
        batched = True

    net = network(Cancelling(1e7))
    cases: Any = make_cases(net, (4,))
    object.__setattr__(net, "source", Plain())
    assert allowing_for_rounding(net, cases, {}, F32) is F32


def test_exact_answers_are_those_of_float64() -> None:
    module = Cancelling(1e3)
    source = TorchSource(Traced.of(module, [torch.zeros(1, 64)]))
    x = np.random.default_rng(0).standard_normal((4, 64)).astype("float32")
    right = (x.astype("float64") + 1e3).cumsum(1) / 64 - 1e3 / 64 * np.arange(1.0, 65.0)
    (exact,) = source.exact([x])
    assert exact.dtype == np.float32
    np.testing.assert_allclose(exact, right, rtol=1e-6, atol=1e-9)
    (single,) = source.reference([x])
    assert ORDERS * compare(single, exact, F32).rms > F32.rms
