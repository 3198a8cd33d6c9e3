"""What Dynamo's graph takes and returns, and whether it can be compiled at all.

    found = inspect_graph(graph, examples)      # raises EagerOnly
    found.inputs, found.frozen                  # places of its arguments: tensors of the call, tensors of the module

Dynamo passes a module's parameters and buffers as arguments, next to what the user calls it with. Code is generated for
their values, so they are distinguished here, by where Dynamo found them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from ovenbird.dynamo.open_batch import FIX, DimSize, open_symbol, sizes_of
from ovenbird.dynamo.outputs import OutputPlan, plan_outputs
from ovenbird.dynamo.reporting import EagerOnly

TORCH = ("torch", "torchvision", "_operator", "operator", "builtins", "math")
"""Modules whose functions have one meaning by their name; those of others would not be seen to change."""
HELD = ("._parameters[", "._buffers[")
"""What Dynamo's name of a tensor holds where the tensor is a module's own."""
FLOATS = (torch.float32, torch.float16)
RETURNED = (*FLOATS, torch.int64, torch.int32, torch.uint8, torch.bool)
LEAST_CALLS = 3
"""A graph of fewer calls and without weights is not worth a compile: a graph break leaves such."""


@dataclass(frozen=True)
class Inspection:
    """Places of a graph's arguments, and how its results are made."""

    names: tuple[str, ...]
    """Of all arguments, in order."""
    inputs: tuple[int, ...]
    frozen: tuple[int, ...]
    batches: tuple[int, ...]
    """Those that are the batch's size, a number: where it is open."""
    shapes: tuple[tuple[DimSize, ...], ...]
    """Of the inputs."""
    outputs: OutputPlan

    @property
    def is_open(self) -> bool:
        """Whether code is to take any number of rows."""
        return any(None in shape for shape in self.shapes)


def inspect_graph(graph: fx.GraphModule, examples: Sequence[Any]) -> Inspection:
    """Look at a graph and at the arguments of its first call. Raises EagerOnly."""
    nodes = list(graph.graph.find_nodes(op="placeholder"))
    symbol = open_symbol(nodes, examples)
    batches = tuple(place for place, one in enumerate(examples) if not isinstance(one, torch.Tensor))
    frozen = tuple(place for place, node in enumerate(nodes) if _is_held(node, examples[place]))
    inputs = tuple(place for place in range(len(nodes)) if place not in (*frozen, *batches))
    tensors = [examples[place] for place in (*inputs, *frozen)]
    _check_mode(tensors)
    for place in (*inputs, *frozen):
        _check_tensor(nodes[place].name, examples[place], place in frozen)
    shapes = tuple(sizes_of(nodes[place].meta["example_value"], symbol) for place in inputs)
    if symbol is not None and not any(None in shape for shape in shapes):
        raise EagerOnly(f"it computes with an open size (dynamic) that is no batch; {FIX}")
    if not inputs:
        raise EagerOnly("it takes no tensor")
    calls = list(_checked_calls(graph))
    if len(calls) < LEAST_CALLS and not frozen:
        raise EagerOnly(f"it has {len(calls)} operators and no weights, which is not worth a compile")
    plan = plan_outputs(graph, nodes, symbol)
    for value in plan.values:
        if value.dtype not in RETURNED:
            raise EagerOnly(f"it returns {value.dtype}, known are {', '.join(map(str, RETURNED))}")
    return Inspection(tuple(node.name for node in nodes), inputs, frozen, batches, shapes, plan)


def compiled_batches(found: Inspection, arguments: Sequence[Any]) -> tuple[int, ...]:
    """Return the batch sizes to compile for: the call's own, and one row where the batch is open."""
    first = arguments[found.inputs[0]]
    rows = int(first.shape[0]) if first.dim() else 1
    return tuple(sorted({1, rows})) if found.is_open else (rows,)


def _is_held(node: fx.Node, example: Any) -> bool:
    """Return whether an argument is a module's own parameter or buffer."""
    if isinstance(example, nn.Parameter):
        return True
    if not isinstance(example, torch.Tensor):
        return False
    source = getattr(node, "_dynamo_source", None)
    name = getattr(source, "name", "")
    return any(mark in (name() if callable(name) else name) for mark in HELD)


def _check_mode(examples: Sequence[torch.Tensor]) -> None:
    wanting = sum(one.requires_grad for one in examples)
    if torch.is_grad_enabled() and wanting:
        raise EagerOnly(
            f"gradients are on, and {wanting} of its {len(examples)} tensors require them; "
            "call it under torch.no_grad()"
        )
    if torch.is_autocast_enabled("cpu"):
        raise EagerOnly("autocast is on")


def _check_tensor(name: str, tensor: torch.Tensor, frozen: bool) -> None:
    """Refuse tensors that code of ours cannot read, or would read in another precision."""
    if type(tensor) not in (torch.Tensor, nn.Parameter) or tensor.layout != torch.strided or tensor.is_quantized:
        raise EagerOnly(f"{name} is a {type(tensor).__name__} of layout {tensor.layout}, expected a plain tensor")
    if not tensor.is_cpu:
        raise EagerOnly(f"{name} is on {tensor.device}, expected the CPU")
    if tensor.dtype not in FLOATS and not (frozen and not tensor.is_floating_point() and not tensor.is_complex()):
        raise EagerOnly(f"{name} is {tensor.dtype}, expected {' or '.join(map(str, FLOATS))}")
    if tensor.numel() == 0:
        raise EagerOnly(f"{name} is empty, {list(tensor.shape)}")


def _checked_calls(graph: fx.GraphModule) -> Iterator[fx.Node]:
    """Yield the nodes that compute. Raises EagerOnly for control flow and for functions that are not torch's."""
    for node in graph.graph.nodes:
        if node.op == "get_attr" and isinstance(getattr(graph, str(node.target), None), fx.GraphModule):
            raise EagerOnly("it holds control flow")
        if node.op == "call_function":
            module = str(getattr(node.target, "__module__", ""))
            if module.split(".")[0] not in TORCH:
                raise EagerOnly(f"it calls {getattr(node.target, '__name__', node.target)} of {module}")
        if node.op in ("call_function", "call_method", "call_module"):
            yield node
