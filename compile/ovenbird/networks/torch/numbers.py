"""Operators of tensors without dimensions, which torch takes as one element, defined by operators that need none.

core = with_numbers(core)       # for run_decompositions
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


def ordered(data: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
    """Return the number, and where it is."""
    return data.clone(), first(data)


def first(data: Tensor, *_: Any, **__: Any) -> Tensor:
    """Return the only place."""
    return torch.zeros_like(data, dtype=torch.int64)


def itself(data: Tensor, *_: Any, dtype: torch.dtype | None = None, **__: Any) -> Tensor:
    """Return the number; sums of whole ones are int64."""
    whole = not data.is_floating_point()
    return data.to(dtype or (torch.int64 if whole else data.dtype), copy=True)


def log_share(data: Tensor, *_: Any) -> Tensor:
    """Return the logarithm of one, or not a number."""
    return data - data


def share(data: Tensor, *_: Any) -> Tensor:
    """Return one, or not a number."""
    return (data - data).exp()


def selected(data: Tensor, _: int, index: Tensor) -> Tensor:
    """Return the number, whatever is asked for."""
    return data.reshape(1).index_select(0, index.reshape(-1)).reshape(())


DEFINED: dict[Any, Callable[..., Any]] = {
    aten._log_softmax.default: log_share,
    aten._softmax.default: share,
    aten.argmax.default: first,
    aten.argmin.default: first,
    aten.argsort.default: first,
    aten.argsort.stable: first,
    aten.cumprod.default: itself,
    aten.cumsum.default: itself,
    aten.index_select.default: selected,
    aten.sort.default: ordered,
    aten.sort.stable: ordered,
    aten.topk.default: ordered,
}


def with_numbers(definitions: Mapping[Any, Callable[..., Any]]) -> dict[Any, Callable[..., Any]]:
    """Return torch's definitions with ours before them, each for a first tensor without dimensions alone."""

    def before(ours: Callable[..., Any], theirs: Callable[..., Any] | None) -> Callable[..., Any]:
        def defined(data: Any, *args: Any, **kwargs: Any) -> Any:
            if isinstance(data, Tensor) and not data.dim():
                return ours(data, *args, **kwargs)
            return NotImplemented if theirs is None else theirs(data, *args, **kwargs)

        return defined

    return {**definitions, **{one: before(ours, definitions.get(one)) for one, ours in DEFINED.items()}}
