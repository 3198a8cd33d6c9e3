"""From a module in the caller's process to a file that another process compiles.

    exported = export_module(net, (torch.randn(1, 3, 224, 224),), Path("net.pt2"))
    exported.inputs, exported.outputs       # ("image",), ("logits",)

The batch is left open where the network's rows stay apart and torch can trace it so; else it is the examples' own.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ovenbird.errors import NetworkUnreadable, UsageError
from ovenbird.networks.torch.graph.refusing import has_unknown_lengths
from ovenbird.networks.torch.steady import steady_torch
from ovenbird.networks.torch.tracing import Traced
from ovenbird.networks.user.named_inputs import name_inputs
from ovenbird_runtime.artifact.names import model_name_from

if TYPE_CHECKING:
    from torch.export import ExportedProgram

EXPORTED = "network"
"""The name of a model that comes as an exported program, which has none."""


@dataclass(frozen=True)
class Exported:
    """A name for the model, and those of what a file takes and returns, in order; none: the program's own."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def export_module(net: nn.Module, example: Any, path: Path) -> Exported:
    """Trace a module on its example inputs (a tensor, a tuple of them, or a dict by name) and write the program.

    Raises UsageError, NetworkUnreadable, NetworkUntraceable. The module stays as it was.
    """
    if isinstance(net, torch.jit.ScriptModule):
        raise NetworkUnreadable("the network is TorchScript, whose Python is gone; give the module that it was made of")
    if example is None:
        raise UsageError("give example inputs with a module: ovenbird.compile(net, torch.randn(1, 3, 224, 224))")
    net = getattr(net, "_orig_mod", net)  # what torch.compile wrapped
    if any(not tensor.is_cpu for tensor in [*net.parameters(), *net.buffers()]):
        net = copy.deepcopy(net).cpu()
    with _evaluation(net):
        named, examples = name_inputs(net, _on_cpu(example))
        traced = Traced.of(named, examples)
        program = with_open_batch(traced) if any(traced.batched) else None
        torch.export.save(program or traced.export(None), path)
    return Exported(model_name_from(type(net).__name__), traced.input_names, traced.output_names)


def save_program(program: ExportedProgram, path: Path) -> Exported:
    """Write an exported program, which keeps its own names."""
    torch.export.save(program, path)
    return Exported(EXPORTED, (), ())


def _on_cpu(example: Any) -> Any:
    return torch.utils._pytree.tree_map_only(torch.Tensor, torch.Tensor.cpu, example)


@contextlib.contextmanager
def _evaluation(net: nn.Module) -> Iterator[None]:
    """Put a module into evaluation mode, and each of its parts back into its own afterwards."""
    training = [part for part in net.modules() if part.training]
    try:
        yield
    finally:
        for part in training:
            part.training = True


def with_open_batch(traced: Traced) -> ExportedProgram | None:
    """Return the program for any number of rows; None where torch can only trace it for one number."""
    batch = torch.export.Dim("batch", min=1)
    shapes = tuple({0: batch} if follows else None for follows in traced.batched)
    with torch.no_grad(), steady_torch():
        try:
            program = torch.export.export(
                traced.flat, traced.with_batch(2), dynamic_shapes={"tensors": shapes}, strict=False
            )
        except Exception:  # noqa: BLE001 - whatever torch and the network raise: the examples' own batch remains
            return None
    return None if has_unknown_lengths(program) else program
