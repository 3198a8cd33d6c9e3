"""Generated code touches nothing outside its tensors: every tensor lies between two pages that end the process.

A sample of what `OVENBIRD_GUARD_PAGES=1` does for all networks of these tests (docs/how-to/work-on-ovenbird.md).
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
import tvm
from torch import nn
from torch.nn import functional

from ovenbird.backends.building import build_module
from ovenbird.lowering import pipeline
from ovenbird.lowering.entry_key import EntryKey
from ovenbird.lowering.operators.legalizations import LEGALIZATIONS
from ovenbird.targets import load_target
from support.codegen import Case, check_guarded, run_together, traced
from support.guarded import GUARD_PAGES, run_guarded


class Circular(nn.Module):
    """Padding from the other side, behind an upsample: written by slices of slices."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(16, 16, 3, padding=1, padding_mode="circular")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(functional.interpolate(x, scale_factor=2))


class Gathering(nn.Module):
    """Rows by what the caller sends."""

    def forward(self, ids: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return x[0, ids[0]], torch.zeros(1, 9).scatter(1, ids, 1.0), torch.gather(x[..., 0], 1, ids)


def sample() -> list[Case]:
    """Return networks whose tensors have odd sizes: what a vector reads past an end is there to be seen."""
    torch.manual_seed(0)
    image = torch.randn(1, 5, 11, 13)
    ids = torch.tensor([[0, 8, -1, 2**40, -(2**40)]])
    return [
        Case(nn.Conv2d(5, 7, 3, padding=1), (image,)),
        Case(nn.Sequential(nn.Conv2d(5, 21, 1), nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.Conv2d(21, 3, 1)), (image,)),
        Case(nn.Conv2d(5, 5, 5, stride=2, padding=2, groups=5), (image,)),
        Case(nn.Sequential(nn.Linear(13, 17), nn.LayerNorm(17), nn.Softmax(-1)), (image,)),
        Case(Gathering(), (ids, torch.randn(1, 9, 3))),
    ]


def test_odd_sizes() -> None:
    cases = sample()
    built = build_module({EntryKey(batch=1): traced(tuple(cases))}, load_target("host"))
    found = run_guarded(built, [value.numpy() for case in cases for value in case.inputs])
    assert found is not None
    with torch.no_grad():
        for case in cases[:-1]:
            np.testing.assert_allclose(found.pop(0), case.run()[0].numpy(), atol=1e-5)


def test_a_slice_of_a_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(GUARD_PAGES, "1")
    cases = [Case(Circular(), (torch.randn(1, 16, *size),)) for size in ((7, 5), (54, 70))]
    for case, (output,) in zip(cases, run_together(cases, load_target("host")), strict=True):
        np.testing.assert_allclose(output, case.run()[0].detach().numpy(), atol=1e-4)


def test_the_guards_see_what_nothing_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A control: TVM's own `slice_scatter`, without the pass that bounds accesses, ends its process."""
    monkeypatch.delitem(LEGALIZATIONS, "relax.slice_scatter")
    monkeypatch.setattr(pipeline, "bound_accesses", tvm.transform.Sequential([]))
    case = Case(Circular(), (torch.randn(1, 16, 54, 70),))
    built = build_module({EntryKey(batch=1): traced((case,))}, load_target("host"))
    with pytest.raises(AssertionError, match=r"exit code -11, at work: .*slice_scatter"):
        check_guarded(built, [case], [])
