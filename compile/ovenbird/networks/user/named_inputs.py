"""A network that takes the tensors among its inputs by name, however deep they lie; all else stays as it was given.

    net, examples = name_inputs(net, ({"left": left, "right": right}, 0.5))     # {"x_left": ..., "x_right": ...}

A network whose examples are tensors in a tuple or a dict already stays as it is.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils import _pytree as pytree

from ovenbird.errors import NetworkUnreadable


class NamedInputs(nn.Module):
    """Calls a network with the tensors among its inputs taken by name.

    Inputs may be nested (a dict of tensors, say); what is no tensor stays as it was in the example.
    """

    def __init__(self, net: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], frozen: bool = False) -> None:
        super().__init__()
        self.net = net
        self.leaves, self.tree = pytree.tree_flatten((args, kwargs))
        self.places: dict[str, int] = {}
        self.frozen = frozen

    def name(self, names: Sequence[str]) -> dict[str, torch.Tensor]:
        """Name every leaf, and return the example tensors by name."""
        self.places = {n: i for i, n in enumerate(names) if isinstance(self.leaves[i], torch.Tensor)}
        return {name: self.leaves[place].detach() for name, place in self.places.items()}

    def train(self, mode: bool = True) -> NamedInputs:
        """Change the mode of the network, but for an exported program: it has none, and says so by raising."""
        if not self.frozen:
            super().train(mode)
        return self

    def forward(self, **inputs: torch.Tensor) -> Any:
        """Call the network with these tensors in their places."""
        leaves = list(self.leaves)
        for name, tensor in inputs.items():
            leaves[self.places[name]] = tensor
        args, kwargs = pytree.tree_unflatten(leaves, self.tree)
        return self.net(*args, **kwargs)


def name_inputs(net: nn.Module, examples: Any) -> tuple[nn.Module, Any]:
    """Return a network and example inputs that are tensors by name or by place. Raises NetworkUnreadable."""
    examples = pytree.tree_map(lambda leaf: torch.from_numpy(leaf) if isinstance(leaf, np.ndarray) else leaf, examples)
    if isinstance(examples, torch.Tensor):
        return net, (examples,)
    if isinstance(examples, Mapping):
        values, args, kwargs = list(examples.values()), (), {str(name): value for name, value in examples.items()}
    elif isinstance(examples, tuple | list):
        values, args, kwargs = list(examples), tuple(examples), {}
    else:
        return net, examples  # which binding refuses in words of its own
    if all(isinstance(value, torch.Tensor) for value in values):
        return net, examples
    wrapped = NamedInputs(net, args, kwargs)
    names = leaf_names(net, args, kwargs)
    found = wrapped.name(names)
    if not found:
        raise NetworkUnreadable("there is no tensor among the example inputs")
    if len(wrapped.places) != sum(isinstance(leaf, torch.Tensor) for leaf in wrapped.leaves):
        raise NetworkUnreadable(f"two example inputs have one name among {', '.join(names)}")
    return wrapped, found


def leaf_names(net: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
    """Return the name of every leaf: the parameter of `forward`, then the keys on the way, joined by "_"."""
    positional = [
        parameter.name
        for parameter in inspect.signature(net.forward).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    names: list[str] = []
    for path, _ in pytree.tree_flatten_with_path((args, kwargs))[0]:
        which, first, *rest = (str(getattr(step, "key", getattr(step, "idx", step))) for step in path)
        if which == "0":
            first = positional[int(first)] if int(first) < len(positional) else f"input{first}"
        names.append("_".join([first, *rest]))
    return names
