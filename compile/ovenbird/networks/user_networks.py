"""Networks that users bring: `module:callable` and `.pt2` files.

net, examples = call_user("mynets:detector")     # runs mynets.detector() with the current folder on the path
net, examples = read_pt2(Path("net.pt2"))        # what torch.export.save wrote
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export._tree_utils import reorder_kwargs
from torch.utils import _pytree as pytree

from ovenbird.errors import NetworkUnreadable, UsageError
from ovenbird.networks.pt2.reading import read_program
from ovenbird.networks.torch.tracing import bind, first_line
from ovenbird_runtime.errors import OvenbirdError


def call_user(reference: str) -> tuple[nn.Module, Any]:
    """Import `module:callable` and call it. Raises NetworkUnreadable, naming the user's line that failed."""
    module_name, _, attribute = reference.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        target: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            target = getattr(target, part)
        found = target()
    except OvenbirdError:
        raise
    except Exception as error:
        raise NetworkUnreadable(f"{reference}: {type(error).__name__}: {first_line(error)}{_where(error)}") from error
    if not (isinstance(found, tuple) and len(found) == 2 and isinstance(found[0], nn.Module)):
        raise NetworkUnreadable(f"{reference}() gave {type(found).__name__}, expected (nn.Module, example_inputs)")
    return found


def _where(error: BaseException) -> str:
    """Return the user's own line that raised, or nothing."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or trace.tb_frame.f_code.co_filename.startswith("<"):
        return ""
    return f" ({Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno})"


def read_pt2(path: Path, trust: bool = False) -> tuple[nn.Module, Any]:
    """Read a file that `torch.export.save` wrote; its example inputs come with it.

    Nothing in the file is run, unless `trust` says that it may. Raises NetworkUnreadable, NetworkUnsafe.
    """
    program = read_program(path, trust)
    if program.example_inputs is None:
        raise NetworkUnreadable(f"{path}: holds no example inputs; save the program as torch.export.export gave it")
    args, kwargs = program.example_inputs
    net = _Named(program.module(check_guards=False), tuple(args), reorder_kwargs(kwargs, program.call_spec.in_spec))
    names = [spec.arg.name for spec in program.graph_signature.input_specs if spec.kind.name == "USER_INPUT"]
    if len(names) != len(net.leaves):
        raise NetworkUnreadable(f"{path}: {len(names)} inputs, {len(net.leaves)} example inputs")
    return net, net.name(names)


class _Named(nn.Module):
    """A loaded program that takes the tensors among its inputs by the names its signature has.

    Inputs may be nested (a dict of tensors, say); what is no tensor stays as it was when the program was exported.
    """

    def __init__(self, program: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        super().__init__()
        self.program = program
        self.leaves, self.tree = pytree.tree_flatten((args, kwargs))
        self.places: dict[str, int] = {}

    def name(self, names: Sequence[str]) -> dict[str, torch.Tensor]:
        """Return the example tensors by name."""
        self.places = {n: i for i, n in enumerate(names) if isinstance(self.leaves[i], torch.Tensor)}
        return {name: self.leaves[place].detach() for name, place in self.places.items()}

    def train(self, mode: bool = True) -> _Named:
        return self  # an exported program has no modes, and says so by raising

    def forward(self, **inputs: torch.Tensor) -> Any:
        leaves = list(self.leaves)
        for name, tensor in inputs.items():
            leaves[self.places[name]] = tensor
        args, kwargs = pytree.tree_unflatten(leaves, self.tree)
        return self.program(*args, **kwargs)


def reshape_examples(net: nn.Module, examples: Any, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """Return the example inputs by name, those named in `shapes` tiled and cut to that shape. Raises UsageError."""
    names, tensors, _ = bind(net, examples)
    unknown = sorted(set(shapes) - set(names))
    if unknown:
        raise UsageError(f"--input-shapes: no input {unknown[0]!r}, the network has {', '.join(names)}")
    found = dict(zip(names, tensors, strict=True))
    for name, shape in shapes.items():
        tensor = found[name]
        if len(shape) != tensor.dim() or 0 in tensor.shape:
            raise UsageError(f"--input-shapes: {name} has {tensor.dim()} dimensions, {len(shape)} were given")
        repeats = [-(-wanted // have) for wanted, have in zip(shape, tensor.shape, strict=True)]
        found[name] = tensor.repeat(*repeats)[tuple(slice(wanted) for wanted in shape)].contiguous()
    return found
