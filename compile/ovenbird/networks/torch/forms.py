"""What a torch network says of itself, so that it need not be run to find out: large ones take seconds for an image.

    net.rows_apart = True        # no layer looks from one image of a batch to another
    net.keeps_nothing = True     # its forward keeps nothing, neither from call to call nor elsewhere
    call_for_forms(net, call, examples)["logits"].shape

What keeps nothing may be called on tensors without numbers, as nothing is left of them, and by several threads at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch._subclasses import FakeTensorMode
from torch.utils import _pytree as pytree

from ovenbird.networks.torch.widening import holdable


def rows_apart(net: nn.Module) -> bool:
    """Return whether a network says that it treats each row of a batch as it does one alone."""
    return bool(getattr(net, "rows_apart", False))


def keeps_nothing(net: nn.Module) -> bool:
    """Return whether a network says that a call of it leaves nothing behind."""
    return bool(getattr(net, "keeps_nothing", False))


def call_for_forms(net: nn.Module, call: Callable[..., Any], examples: Sequence[torch.Tensor]) -> Any:
    """Call a network for the structure, shapes and dtypes of what it returns; the tensors may be without numbers.

    Numbers are computed where the network does not say that it keeps nothing and keeps rows apart: then they show
    whether it does, and a first call may be what sets it up. Raises what the network raises.
    """
    if not (rows_apart(net) and keeps_nothing(net)):
        return call(net, examples)
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    with mode:
        found = call(net, tuple(mode.from_tensor(tensor) for tensor in examples))
    return pytree.tree_map_only(torch.Tensor, _formed, found)


def _formed(tensor: torch.Tensor) -> torch.Tensor:
    return torch.empty(tuple(tensor.shape), dtype=tensor.dtype, device="meta")


def dtype_of(tensor: torch.Tensor) -> Any:
    """Return the dtype of a tensor as numpy will hold it, which lacks bfloat16."""
    return holdable(torch.empty(0, dtype=tensor.dtype)).numpy().dtype
