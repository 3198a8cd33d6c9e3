"""Networks that users bring: `module:callable`, `file.py:callable`, and `.pt2` files.

    found = load_user(parse_reference("mynets:detector"))          # runs mynets.detector()
    found.net, found.examples
    net, examples = read_pt2(Path("net.pt2"))                      # what torch.export.save wrote

The callable may be a function, a class, or no callable at all: a `torch.nn.Module`. What it returns is a module, or a
module and its example inputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from torch.export import ExportedProgram
from torch.export._tree_utils import reorder_kwargs

from ovenbird.errors import NetworkUnreadable, UsageError, suggest
from ovenbird.networks.programs import Programs
from ovenbird.networks.pt2.reading import read_program
from ovenbird.networks.reference import Reference
from ovenbird.networks.torch.tracing import bind
from ovenbird.networks.user.code import call_target, import_target, users_code
from ovenbird.networks.user.named_inputs import NamedInputs

EXPORT = "torch.export.save(torch.export.export(net.eval(), (example,)), 'net.pt2'), and compile net.pt2"


@dataclass(frozen=True)
class UserNetwork:
    """A network of the user's, and the example inputs that came with it: None where none did."""

    net: nn.Module
    examples: Any = None


def load_user(reference: Reference) -> UserNetwork | Programs:
    """Import what a reference names, and call it where it is no network yet. Raises NetworkUnreadable, UsageError."""
    target = import_target(reference)
    called = callable(target) and not isinstance(target, nn.Module)
    if called:
        made = call_target(reference.text, target, reference.arguments)
    elif reference.arguments:
        raise UsageError(f"{reference.text} is a {type(target).__name__}: it takes no arguments")
    else:
        made = target
    if isinstance(made, Programs):
        return made
    found = f"{reference.text} returned" if called else f"{reference.text} is"
    return _user_network(found, made)


def _user_network(found: str, made: Any) -> UserNetwork:
    examples: Any = None
    if isinstance(made, tuple | list) and made and isinstance(made[0], nn.Module | ExportedProgram):
        if len(made) != 2:
            raise NetworkUnreadable(f"{found} {len(made)} values: put the example inputs into one tuple, net, (a, b)")
        made, examples = made
    if isinstance(made, ExportedProgram):
        net, own = from_program(made, found)
        return UserNetwork(net, own if examples is None else examples)
    if not isinstance(made, nn.Module):
        what = "nothing: end it with `return net`" if made is None else type(made).__name__
        raise NetworkUnreadable(f"{found} {what}; expected a torch.nn.Module, or (module, example_inputs)")
    with users_code(found):
        return UserNetwork(_usable(found, made), examples)


def _usable(found: str, net: nn.Module) -> nn.Module:
    """Return the network itself, in evaluation mode and on the CPU, out of what training wrapped it in."""
    while isinstance(net, nn.DataParallel | nn.parallel.DistributedDataParallel) or hasattr(net, "_orig_mod"):
        net = cast(nn.Module, net._orig_mod if hasattr(net, "_orig_mod") else net.module)
    if isinstance(net, torch.jit.ScriptModule):
        raise NetworkUnreadable(
            f"{found} TorchScript, whose Python is gone; from the module that it was made of: {EXPORT}"
        )
    tensors = [*net.named_parameters(), *net.named_buffers()]
    bare = [name for name, tensor in tensors if tensor.device.type == "meta"]
    if bare:
        raise NetworkUnreadable(f"{found} a network without numbers: {bare[0]} is on torch's device 'meta'")
    try:
        return net.cpu().eval()
    except NotImplementedError:  # the module of an exported program
        raise NetworkUnreadable(f"{found} the module of an exported program; return the program itself") from None


def read_pt2(path: Path, trust: bool = False) -> tuple[nn.Module, Any]:
    """Read a file that `torch.export.save` wrote; its example inputs come with it.

    Nothing in the file is run, unless `trust` says that it may. Raises NetworkUnreadable, NetworkUnsafe.
    """
    return from_program(read_program(path, trust), f"{path}: holds")


def from_program(program: ExportedProgram, found: str) -> tuple[nn.Module, Any]:
    """Return an exported program as a network that takes its inputs by name. Raises NetworkUnreadable."""
    if program.example_inputs is None:
        raise NetworkUnreadable(f"{found} no example inputs; save the program as torch.export.export gave it")
    args, kwargs = program.example_inputs
    kwargs = reorder_kwargs(kwargs, program.call_spec.in_spec)
    net = NamedInputs(program.module(check_guards=False), tuple(args), kwargs, frozen=True)
    names = [spec.arg.name for spec in program.graph_signature.input_specs if spec.kind.name == "USER_INPUT"]
    if len(names) != len(net.leaves):
        raise NetworkUnreadable(f"{found} {len(names)} inputs, {len(net.leaves)} example inputs")
    return net, net.name(names)


def reshape_examples(net: nn.Module, examples: Any, shapes: Mapping[str, Sequence[int]]) -> dict[str, torch.Tensor]:
    """Return the example inputs by name, those named in `shapes` tiled and cut to that shape. Raises UsageError."""
    names, tensors, _ = bind(net, examples)
    unknown = sorted(set(shapes) - set(names))
    if unknown:
        near = suggest(unknown[0], names)
        raise UsageError(f"--input-shapes: no input {unknown[0]!r}, the network has {', '.join(names)}{near}")
    found = dict(zip(names, tensors, strict=True))
    for name, shape in shapes.items():
        tensor = found[name]
        if len(shape) != tensor.dim() or 0 in tensor.shape:
            raise UsageError(f"--input-shapes: {name} has {tensor.dim()} dimensions, {len(shape)} were given")
        repeats = [-(-wanted // have) for wanted, have in zip(shape, tensor.shape, strict=True)]
        found[name] = tensor.repeat(*repeats)[tuple(slice(wanted) for wanted in shape)].contiguous()
    return found
