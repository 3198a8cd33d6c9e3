"""Masks that are the same whatever the input is, as indices: `x[:, mask]` of a buffer, or of one that `forward` builds.

How many elements a mask takes is a number of the data to torch.export, and no compiled tensor is as long as its data
says. So the network is run first, and each mask's count noted. It is traced with the places where a mask is true in
place of the mask, that many; `constants.py` computes them where they depend on no input, and others are refused.

    flat.masks = Masks()        # the network's first call notes counts; traced, it takes them in the same order
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

aten = torch.ops.aten


@torch.library.custom_op("ovenbird::true_places", mutates_args=())
def true_places(mask: torch.Tensor, count: int) -> torch.Tensor:
    """Return where a mask is true, int64 [count, dimensions]. Raises ValueError where it is true elsewhere too."""
    found = mask.nonzero()
    if len(found) != count:
        raise ValueError(f"a mask is true in {len(found)} places, in {count} when the network was run before")
    return found


@true_places.register_fake
def _(mask: torch.Tensor, count: int) -> torch.Tensor:
    return mask.new_empty((count, mask.dim()), dtype=torch.int64)


class Masks(TorchFunctionMode):
    """Notes how many elements masks take, in the order of the calls; says it again where torch.export traces."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: list[int] = []
        self.next = 0
        self.tracing = False
        self.used = False
        """Whether a mask was met."""

    def __enter__(self) -> Masks:
        self.tracing, self.next = torch.compiler.is_exporting(), 0
        if not self.tracing:
            self.counts.clear()
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function of torch, or one of `INDEXED` by the places of its masks."""
        instead = INDEXED.get(func)
        if instead is None:
            return func(*args, **(kwargs or {}))
        return instead(self, func, *args, **(kwargs or {}))

    def places(self, mask: torch.Tensor) -> torch.Tensor:
        """Return where a mask is true, a row each."""
        self.used = True
        if self.tracing:
            count = self.counts[self.next]
            self.next += 1
        else:
            count = int(mask.count_nonzero())
            self.counts.append(count)
        found: torch.Tensor = true_places(mask != 0, count)
        return found

    def columns(self, items: Sequence[Any]) -> list[Any] | None:
        """Return indices with those of its places for each mask among them; None where there is no mask."""
        found: list[Any] = []
        for item in items:
            if isinstance(item, list) and item and all(isinstance(one, bool) for one in item):
                item = np.array(item)
            if isinstance(item, np.ndarray) and item.dtype == np.bool_ and item.ndim:
                self.used = True
                found += map(torch.from_numpy, item.nonzero())
            elif isinstance(item, torch.Tensor) and item.dtype in (torch.bool, torch.uint8) and item.dim():
                found += self.places(item).unbind(1)
            else:
                found.append(item)
        return found if len(found) != len(items) or any(a is not b for a, b in zip(found, items, strict=True)) else None


def _item(masks: Masks, func: Any, data: Any, index: Any) -> Any:
    columns = masks.columns(index if isinstance(index, tuple) else (index,))
    return func(data, index if columns is None else tuple(columns))


def _index(masks: Masks, func: Any, data: Any, indices: Any) -> Any:
    return func(data, masks.columns(indices) or indices)


def _selected(masks: Masks, func: Any, input: Any, mask: Any) -> Any:
    data, mask = torch.broadcast_tensors(input, mask)  # type: ignore[no-untyped-call]
    return data[tuple(masks.places(mask).unbind(1))] if mask.dim() else func(input, mask)


def _nonzero(masks: Masks, func: Any, input: Any, *, as_tuple: bool = False) -> Any:
    found = masks.places(input)
    return tuple(found.unbind(1)) if as_tuple else found


def _where(masks: Masks, func: Any, condition: Any, *choices: Any, **named: Any) -> Any:
    if choices or named:
        return func(condition, *choices, **named)
    return tuple(masks.places(condition).unbind(1))


def _combined(masks: Masks, func: Any, input: Any, r: int = 2, with_replacement: bool = False) -> Any:
    masks.used = True
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = list(choose(range(len(input)), r))
    return input[torch.tensor(rows, dtype=torch.int64).reshape(len(rows), r)]


INDEXED: dict[Any, Callable[..., Any]] = {
    torch.Tensor.__getitem__: _item,
    aten.index.Tensor: _index,
    **dict.fromkeys((torch.masked_select, torch.Tensor.masked_select, aten.masked_select.default), _selected),
    **dict.fromkeys((torch.nonzero, torch.Tensor.nonzero, aten.nonzero.default), _nonzero),
    **dict.fromkeys((torch.argwhere, torch.Tensor.argwhere), _nonzero),
    **dict.fromkeys((torch.where, torch.Tensor.where), _where),
    torch.combinations: _combined,
}
"""What takes a mask and gives as much as it is true, by how it is called."""
