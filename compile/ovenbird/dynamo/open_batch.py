"""Graphs whose batch Dynamo has left open: one symbol, which is the first dimension of tensors and nothing else.

    symbol = open_symbol(placeholders, examples)        # "s77"; None where all shapes are numbers
    sizes_of(value, symbol)                             # (None, 3, 224, 224): None is the batch

A size that is open elsewhere is none that code could be compiled for. Sizes are only compared by their text here: to
ask Dynamo's symbols for a number would bind them to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import fx

from ovenbird.dynamo.reporting import EagerOnly

FIX = "torch.compile(..., dynamic=False) compiles each shape by itself"
DimSize = int | None
"""Of a dimension; None is the batch, which is open."""


def open_symbol(placeholders: Sequence[fx.Node], examples: Sequence[Any]) -> str | None:
    """Return the symbol that a graph takes; None where it takes none. Raises EagerOnly for several, or for numbers."""
    found: set[str] = set()
    for node, example in zip(placeholders, examples, strict=True):
        if isinstance(example, torch.Tensor):
            continue
        if not isinstance(example, torch.SymInt):
            raise EagerOnly(f"{node.name} is a {type(example).__name__}, expected a tensor")
        found.add(_text(node.meta.get("example_value", example)))
    if len(found) > 1:
        raise EagerOnly(f"{len(found)} of its sizes are open (dynamic), known is an open batch; {FIX}")
    return next(iter(found), None)


def sizes_of(value: torch.Tensor, symbol: str | None) -> tuple[DimSize, ...]:
    """Return a tensor's sizes. Raises EagerOnly where others than the first are open, or that is no plain batch."""
    found: list[DimSize] = []
    shape: tuple[Any, ...] = tuple(value.shape)
    for place, size in enumerate(shape):
        if isinstance(size, int):
            found.append(size)
        elif place == 0 and _text(size) == symbol:
            found.append(None)
        else:
            raise EagerOnly(f"a size other than the batch is open (dynamic), dimension {place}; {FIX}")
    return tuple(found)


def steps_of(value: torch.Tensor) -> tuple[int, ...]:
    """Return a tensor's strides. Raises EagerOnly where one depends on the batch."""
    steps = value.stride()
    if not all(isinstance(step, int) for step in (*steps, value.storage_offset())):
        raise EagerOnly(f"how a tensor lies in memory depends on the batch, which is open (dynamic); {FIX}")
    return tuple(steps)


def _text(size: Any) -> str:
    return str(size.node.expr) if isinstance(size, torch.SymInt) else str(size)
