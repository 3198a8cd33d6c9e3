"""Small networks compiled many at a time, for a build of many layers costs little more than a build of one.

    outputs = run_together([Case(network, (image,)), ...], target)      # one list of arrays a network

A network keeps its own inputs, so nothing of one fuses with another; equal layers are compiled once.
"""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import tvm
from torch import nn
from tvm import relax

from ovenbird.backends.base import BuildOptions
from ovenbird.backends.building import DEFAULT, build_module
from ovenbird.lowering.built import BuiltModule
from ovenbird.lowering.entry_key import EntryKey
from ovenbird.networks.torch.importer import import_exported
from ovenbird.networks.torch.tracing import Traced
from ovenbird.targets import TargetSpec
from support.guarded import GUARD_PAGES, run_guarded

Outputs = list[np.ndarray]


@dataclass(frozen=True, eq=False)
class Case:
    """A network and the inputs that it is run on."""

    network: nn.Module
    inputs: tuple[torch.Tensor, ...]

    def run(self) -> tuple[torch.Tensor, ...]:
        """Return torch's outputs."""
        outputs = self.network(*self.inputs)
        return outputs if isinstance(outputs, tuple) else (outputs,)


class Function(nn.Module):
    """A function of tensors as a network."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: torch.Tensor) -> Any:
        """Return one tensor, or a tuple of them."""
        found = self.function(*inputs)
        return tuple(found) if isinstance(found, (tuple, list)) else found


class Together(nn.Module):
    """Networks side by side: the inputs of all, one after the other, and so the outputs."""

    def __init__(self, cases: Sequence[Case]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(case.network for case in cases)
        self.counts = [len(case.inputs) for case in cases]

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        rest = iter(inputs)
        cases = [
            Case(network, tuple(next(rest) for _ in range(count)))
            for network, count in zip(self.networks, self.counts, strict=True)
        ]
        return tuple(output for case in cases for output in case.run())


@functools.lru_cache(maxsize=16)
def traced(cases: tuple[Case, ...]) -> tvm.IRModule:
    """Trace the networks into one Relax module, the same for every target."""
    together = Together(cases).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.export's own deprecations
        inputs = tuple(x for case in cases for x in case.inputs)
        try:
            program = torch.export.export(together, inputs)
        except Exception:  # noqa: BLE001 - torch's own, of masks that are counted by a run
            program = Traced.of(together, inputs).export(None)
        return import_exported(program)


def run_together(cases: Sequence[Case], target: TargetSpec, options: BuildOptions = DEFAULT) -> list[Outputs]:
    """Compile the networks, all of one batch size, into one library for `target` and return each one's outputs."""
    (batch,) = {case.inputs[0].shape[0] for case in cases}
    built = build_module({EntryKey(batch=batch): traced(tuple(cases))}, target, options)
    machine = relax.VirtualMachine(built.executable, tvm.cpu())
    tensors = [tvm.runtime.tensor(value.detach().numpy()) for case in cases for value in case.inputs]
    tensors += [tvm.runtime.tensor(built.tensors[index]) for index in built.entries[0].weights]
    result = machine[built.entries[0].function](*tensors)
    outputs = iter([result] if hasattr(result, "numpy") else result)
    with torch.no_grad():
        found = [[next(outputs).numpy() for _ in case.run()] for case in cases]
    assert next(outputs, None) is None
    if os.environ.get(GUARD_PAGES):
        check_guarded(built, cases, found)
    return found


def check_guarded(built: BuiltModule, cases: Sequence[Case], found: Sequence[Outputs]) -> None:
    """Run the library again with its tensors between guard pages: the same bits, and no access outside."""
    guarded = run_guarded(built, [value.detach().numpy() for case in cases for value in case.inputs])
    assert guarded is not None, f"no plan: {built.unplanned}"
    wanted = [array for outputs in found for array in outputs]
    for array, expected in zip(guarded, wanted, strict=True):
        np.testing.assert_array_equal(array, expected)
