"""Expressions that would grow without end are kept in memory on the way."""

import torch
from torch import nn

from ovenbird.targets import load_target
from support.codegen import Case, run_together


class Steps(nn.Module):
    """64 steps that read their value twice, and as many that nest polynomials."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        diamond, chain = x, x
        for _ in range(64):
            diamond = diamond + diamond.abs() * 0.1
            chain = torch.exp(-chain)
        return diamond, chain


def test_deep_diamonds_and_chains_compile() -> None:
    case = Case(Steps(), (torch.linspace(-1, 1, 32).reshape(2, 16),))
    (found,) = run_together([case], load_target("host"))
    for given, right in zip(found, case.run(), strict=True):
        torch.testing.assert_close(torch.from_numpy(given), right, rtol=2e-5, atol=1e-6)
