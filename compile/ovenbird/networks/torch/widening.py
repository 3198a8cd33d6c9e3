"""Networks stored in float16, bfloat16 or float64, computed in float32: a dtype says how numbers are kept.

And any network computed in float64, where a closer reference is needed.

    dtypes = other_dtypes(program)
    same = InDtype(program, dtypes, traced.output_examples)         # an nn.Module of the same inputs and outputs
    closer = InDtype(program, FLOATS, traced.output_examples, torch.float64)

Every tensor and every cast in between is of the one dtype, and each output is converted once to its own. A finite
number beyond what it holds is its last on that side. numpy has no bfloat16: such inputs and outputs are float32, which
holds every bfloat16.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.export import ExportedProgram
from torch.utils import _pytree as pytree

LOW = frozenset({torch.float16, torch.bfloat16})
FLOATS = LOW | {torch.float32}
REGIONS = {torch.ops.higher_order.wrap_with_autocast: 4, torch.ops.higher_order.wrap_with_set_grad_enabled: 1}
"""Blocks of the code with a graph of their own, and where it stands among the arguments: behind what is set in them."""


def other_dtypes(program: ExportedProgram) -> frozenset[torch.dtype]:
    """Return the dtypes to compute in float32: low ones anywhere, float64 of weights or inputs.

    float64 in between alone, as of a grid, is meant.
    """
    graphs = [part.graph for part in program.graph_module.modules() if isinstance(part, torch.fx.GraphModule)]
    found = {dtype for graph in graphs for node in graph.nodes for dtype in _dtypes(node) if dtype in LOW}
    held = {dtype for node in program.graph.nodes if node.op == "placeholder" for dtype in _dtypes(node)}
    return frozenset(found | (held & {torch.float64}))


def _dtypes(node: Any) -> list[torch.dtype]:
    return [value.dtype for value in pytree.tree_leaves(node.meta.get("val")) if isinstance(value, torch.Tensor)]


def holdable(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor in a dtype that numpy has."""
    return tensor.float() if tensor.dtype is torch.bfloat16 else tensor


class InDtype(nn.Module):
    """A traced network, run in one dtype where it says one of `dtypes`."""

    def __init__(
        self,
        program: ExportedProgram,
        dtypes: frozenset[torch.dtype],
        outputs: Sequence[torch.Tensor],
        into: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.traced = program.module(check_guards=False)
        self.dtypes, self.into = dtypes, into
        self.outputs = [torch.float32 if one.dtype is torch.bfloat16 else one.dtype for one in outputs]

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Run the network's operators one by one."""
        interpreter = _Interpreter(self.traced, self.dtypes, self.into)
        with torch.fx.traceback.preserve_node_meta():
            outputs = interpreter.run(*map(interpreter.converted, tensors))
        return tuple(output.to(dtype) for output, dtype in zip(outputs, self.outputs, strict=True))


class _Interpreter(torch.fx.Interpreter):
    """Runs a graph with one dtype in the places of others."""

    def __init__(self, graph: torch.fx.GraphModule, dtypes: frozenset[torch.dtype], into: torch.dtype) -> None:
        super().__init__(graph)
        self.dtypes, self.into = dtypes, into

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        if target is torch.ops.aten._assert_tensor_metadata.default:
            return None  # of the dtype that was
        if target in REGIONS:  # a region's own dtype, as autocast's, is no more than how numbers are kept
            graph, *given = args[REGIONS[target] :]
            return _Interpreter(graph, self.dtypes, self.into).run(*given)

        def changed(given: Any) -> Any:
            if isinstance(given, torch.dtype):
                return self.into if given in self.dtypes else given
            return self.held(given) if isinstance(given, float) else given

        args, kwargs = pytree.tree_map(changed, (args, kwargs))
        return super().call_function(target, args, kwargs)

    def get_attr(self, target: Any, args: Any, kwargs: Any) -> Any:
        return self.converted(super().get_attr(target, args, kwargs))

    def held(self, number: float) -> float:
        """Return a number, the last one on its side where the dtype that is computed in ends before it.

        A mask of float64's least number is not infinite: a row of nothing else has a softmax.
        """
        most = torch.finfo(self.into).max
        return max(-most, min(number, most)) if math.isfinite(number) else number

    def converted(self, value: Any) -> Any:
        """Return a tensor of one of the dtypes in the one that is computed in, and anything else as it is."""
        if not isinstance(value, torch.Tensor) or value.dtype not in self.dtypes:
            return value
        most = torch.finfo(self.into).max
        if torch.finfo(value.dtype).max > most:
            value = torch.where(value.isinf(), value, value.clamp(-most, most))
        return value.to(self.into)
