"""Networks that users bring: `module:callable` and `.pt2` files.

net, examples = call_user("mynets:detector")     # runs mynets.detector() with the current folder on the path
net, examples = read_pt2(Path("net.pt2"))        # what torch.export.save wrote
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ovenbird.errors import NetworkUnreadable, UsageError
from ovenbird.tracing import bind, first_line
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
    """Give the user's own line that raised, or nothing."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or trace.tb_frame.f_code.co_filename.startswith("<"):
        return ""
    return f" ({Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno})"


def read_pt2(path: Path) -> tuple[nn.Module, Any]:
    """Read a file that `torch.export.save` wrote; its example inputs come with it. Raises NetworkUnreadable."""
    if not path.is_file():
        raise NetworkUnreadable(f"{path}: no file there; torch.export.save(program, path) writes one")
    try:
        program = torch.export.load(path)
    except Exception as error:
        raise NetworkUnreadable(f"{path}: not a program that torch.export.load reads: {first_line(error)}") from error
    if program.example_inputs is None:
        raise NetworkUnreadable(f"{path}: holds no example inputs; save the program as torch.export.export gave it")
    args, kwargs = program.example_inputs
    names = [spec.arg.name for spec in program.graph_signature.input_specs if spec.kind.name == "USER_INPUT"]
    net = _Named(program.module(), len(args), tuple(kwargs))
    return net, dict(zip(names, [*args, *kwargs.values()], strict=True))


class _Named(nn.Module):
    """A loaded program that takes its inputs by the names its signature has."""

    def __init__(self, program: nn.Module, positional: int, keywords: tuple[str, ...]) -> None:
        super().__init__()
        self.program = program
        self.positional = positional
        self.keywords = keywords

    def train(self, mode: bool = True) -> _Named:
        return self  # an exported program has no modes, and says so by raising

    def forward(self, **inputs: torch.Tensor) -> Any:
        values = list(inputs.values())
        keywords = dict(zip(self.keywords, values[self.positional :], strict=True))
        return self.program(*values[: self.positional], **keywords)


def reshape_examples(net: nn.Module, examples: Any, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """Give the example inputs by name, those named in `shapes` tiled and cut to that shape. Raises UsageError."""
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
