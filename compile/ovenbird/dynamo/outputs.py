"""How a graph's results are made from what its code computes: strides as torch's own, views as views.

    plan = plan_outputs(graph, placeholders, None)    # raises EagerOnly
    plan.computed                               # places of the results that code computes
    plan.assemble(tensors, arguments)

Two results may share memory, and a result may be a view of an argument: who writes to the one must see it in the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import torch
from torch import fx
from torch.fx.experimental.symbolic_shapes import statically_known_true

from ovenbird.dynamo.open_batch import DimSize, sizes_of, steps_of
from ovenbird.dynamo.reporting import EagerOnly


@dataclass(frozen=True)
class ComputedResult:
    """A result that code computes: the `place`th, which is laid out by `stride`."""

    place: int
    stride: tuple[int, ...]


@dataclass(frozen=True)
class ArgumentResult:
    """An argument that is returned as it is."""

    place: int


@dataclass(frozen=True)
class ViewResult:
    """A view of an argument, or of another result; `offset` is from where that begins."""

    of_argument: bool
    place: int
    size: tuple[DimSize, ...]
    stride: tuple[int, ...]
    offset: int


@dataclass(frozen=True)
class OutputPlan:
    """How each result is made."""

    results: tuple[ComputedResult | ArgumentResult | ViewResult, ...]
    computed: tuple[int, ...]
    """The places, among the results, of those that code computes."""
    values: tuple[torch.Tensor, ...]
    """What Dynamo knows of each result."""

    def assemble(self, tensors: Sequence[torch.Tensor], arguments: Sequence[Any]) -> tuple[Any, ...]:
        """Return all results, given those that were computed, contiguous, and the arguments of the call."""
        found: list[Any] = [None] * len(self.results)
        for place, one in enumerate(self.results):
            if isinstance(one, ComputedResult):
                found[place] = _laid_out(tensors[one.place], one.stride)
            elif isinstance(one, ArgumentResult):
                found[place] = arguments[one.place]
        for place, one in enumerate(self.results):
            if isinstance(one, ViewResult):
                base = arguments[one.place] if one.of_argument else found[one.place]
                size = [base.shape[0] if length is None else length for length in one.size]
                found[place] = base.as_strided(size, one.stride, base.storage_offset() + one.offset)
        return tuple(found)


def _laid_out(tensor: torch.Tensor, stride: tuple[int, ...]) -> torch.Tensor:
    """Return a tensor with these strides, which the graph's users were compiled for."""
    if tensor.stride() == stride:
        return tensor
    return torch.empty_strided(tensor.shape, stride, dtype=tensor.dtype).copy_(tensor)


def plan_outputs(graph: fx.GraphModule, placeholders: Sequence[fx.Node], symbol: str | None) -> OutputPlan:
    """Plan a graph's results by what Dynamo knows of them; `symbol` is an open batch. Raises EagerOnly."""
    (output,) = graph.graph.find_nodes(op="output")
    nodes: list[Any] = list(output.args[0])
    values: list[Any] = [node.meta.get("example_value") if isinstance(node, fx.Node) else None for node in nodes]
    if any(not isinstance(value, torch.Tensor) or value.layout != torch.strided for value in values):
        raise EagerOnly("it returns something other than tensors")
    known: list[Any] = [node.meta.get("example_value") for node in placeholders]
    arguments = {_memory(value): place for place, value in enumerate(known) if isinstance(value, torch.Tensor)}
    results: list[ComputedResult | ArgumentResult | ViewResult | None] = [None] * len(nodes)
    groups: dict[int, list[int]] = {}
    for place, (node, value) in enumerate(zip(nodes, values, strict=True)):
        if node in placeholders:
            results[place] = ArgumentResult(list(placeholders).index(node))
        elif _memory(value) in arguments:
            results[place] = _view(value, known, True, arguments[_memory(value)], symbol)
        else:
            groups.setdefault(_memory(value), []).append(place)
    for places in groups.values():
        base = next((place for place in places if _fills_its_memory(values[place])), None)
        if base is None and any(_overlap(values[one], values[two]) for one, two in combinations(places, 2)):
            raise EagerOnly("two of its results share memory in part")
        for place in places:
            if base is not None and place != base:
                results[place] = _view(values[place], values, False, base, symbol)
    computed = tuple(place for place, one in enumerate(results) if one is None)
    if not computed:
        raise EagerOnly("it computes nothing")
    for place in computed:
        size, stride = sizes_of(values[place], symbol), steps_of(values[place])
        if symbol is not None and size[:1] != (None,):
            raise EagerOnly("a result does not follow the batch, which is open (dynamic)")
        if any(step == 0 and length != 1 for step, length in zip(stride, size, strict=True)):
            raise EagerOnly("a result is expanded: its elements share memory")
        results[place] = ComputedResult(computed.index(place), stride)
    return OutputPlan(tuple(one for one in results if one is not None), computed, tuple(values))


def _memory(value: torch.Tensor) -> int:
    return int(value.untyped_storage()._cdata)


def _fills_its_memory(value: torch.Tensor) -> bool:
    """Return whether a tensor, in some order of its dimensions and without gaps, is all of its memory. The batch, where
    it is open, is the outermost.
    """
    expected = 1
    sizes = [size if isinstance(size, int) else None for size in value.shape]
    for stride, size in sorted(zip(steps_of(value), sizes, strict=True), key=lambda one: (one[1] is None, *one)):
        if size != 1:
            if stride != expected:
                return False
            expected *= size or 1
    filled = value.numel() * value.itemsize == value.untyped_storage().nbytes()
    return value.storage_offset() == 0 and statically_known_true(filled)


def _view(value: torch.Tensor, bases: Sequence[Any], of_argument: bool, place: int, symbol: str | None) -> ViewResult:
    base = bases[place]
    if value.dtype != base.dtype:
        raise EagerOnly("a result is a view of another dtype")
    size, stride, offset = sizes_of(value, symbol), steps_of(value), value.storage_offset()
    if None in size and sizes_of(base, symbol)[0] is not None:
        raise EagerOnly("a result does not follow the batch, which is open (dynamic)")
    steps_of(base)
    return ViewResult(of_argument, place, size, stride, int(offset - base.storage_offset()))


def _overlap(one: torch.Tensor, two: torch.Tensor) -> bool:
    """Return whether two tensors in one memory share an element."""
    sizes = (*one.shape, *two.shape)
    if one.dtype != two.dtype or not all(isinstance(size, int) for size in sizes):
        return True
    length = one.untyped_storage().nbytes() // one.itemsize
    places = torch.zeros(length, dtype=torch.uint8)
    for tensor in (one, two):
        places.as_strided(tuple(tensor.shape), tensor.stride(), tensor.storage_offset()).add_(1)
    return bool((places > 1).any())
