"""From Dynamo's graph to an artifact: its weights put in, exported here, compiled and verified in another process.

compile_graph(graph, found, arguments, Path("artifact"))        # raises EagerOnly, CompilerError
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from ovenbird.api.child import compile_in_child
from ovenbird.api.exporting import with_open_batch
from ovenbird.api.request import CompileRequest
from ovenbird.dynamo.inspection import Inspection, compiled_batches
from ovenbird.dynamo.open_batch import FIX
from ovenbird.dynamo.reporting import EagerOnly
from ovenbird.loading.options import NetworkOptions
from ovenbird.networks.torch.steady import steady_torch
from ovenbird.networks.torch.tracing import Traced, first_line
from ovenbird.options import CompileOptions

NAME = "graph"


class FrozenGraph(nn.Module):
    """A graph that takes its inputs alone, and returns what is computed from them."""

    def __init__(self, graph: fx.GraphModule, found: Inspection, arguments: Sequence[Any]) -> None:
        """Take the frozen tensors of `arguments` over, as constants that share their memory."""
        super().__init__()
        self._graph, self._found = graph, found
        for place in found.frozen:
            self.register_buffer(f"tensor{place}", arguments[place].detach())
        self._batch = next((place for place, shape in enumerate(found.shapes) if None in shape), 0)

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Call the graph."""
        given: dict[int, Any] = dict(zip(self._found.inputs, tensors, strict=True))
        given |= {place: getattr(self, f"tensor{place}") for place in self._found.frozen}
        given |= dict.fromkeys(self._found.batches, tensors[self._batch].shape[0])
        results = self._graph(*(given[place] for place in range(len(self._found.names))))
        return tuple(results[place] for place in self._found.outputs.computed)


def compile_graph(graph: fx.GraphModule, found: Inspection, arguments: Sequence[Any], output: Path) -> None:
    """Write the artifact of a graph for its arguments. Raises EagerOnly for what code cannot do, CompilerError."""
    with torch.inference_mode(False), torch.no_grad(), steady_torch():
        _check_writes(graph, arguments)
        inputs = tuple(arguments[place].detach().contiguous().clone() for place in found.inputs)
        program = _export(FrozenGraph(graph, found, arguments).eval(), inputs, found.is_open)
    with tempfile.TemporaryDirectory(prefix="ovenbird-") as work:
        path = Path(work) / "graph.pt2"
        torch.export.save(program, path)
        network = NetworkOptions(name=NAME, preprocess="none", trust=True)
        options = CompileOptions(batch_sizes=compiled_batches(found, arguments))
        compile_in_child(CompileRequest(str(path), output, network, options))


def _check_writes(graph: fx.GraphModule, arguments: Sequence[Any]) -> None:
    """Call the graph on tensors without numbers, and see whether it writes to them. Raises EagerOnly."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        tensors = [
            torch.empty_strided(one.shape, one.stride(), dtype=one.dtype) if isinstance(one, torch.Tensor) else one
            for one in arguments
        ]
        graph(*tensors)
    nodes = graph.graph.find_nodes(op="placeholder")
    written = [
        node.name
        for node, tensor in zip(nodes, tensors, strict=True)
        if isinstance(tensor, torch.Tensor) and tensor._version
    ]
    if written:
        raise EagerOnly(f"it writes to {len(written)} of its tensors ({written[0]})")


def _export(module: FrozenGraph, inputs: tuple[torch.Tensor, ...], is_open: bool) -> torch.export.ExportedProgram:
    """Trace for the inputs' own shapes, or for any batch. Raises EagerOnly."""
    if is_open:
        traced = Traced.of(module, inputs)
        found = with_open_batch(traced) if any(traced.batched) else None
        if found is None:
            raise EagerOnly(f"its batch is open (dynamic), but torch traces it for one only, or rows mix; {FIX}")
        program = found
    else:
        try:
            program = torch.export.export(module, inputs, strict=False)
        except Exception as error:
            raise EagerOnly(f"torch.export cannot trace it: {first_line(error)}") from error
    for node in program.graph.nodes:
        if node.op == "call_function" and _draws(node):
            raise EagerOnly(f"it draws random numbers ({node.target})")
    return program


def _draws(node: fx.Node) -> bool:
    """Return whether a call draws random numbers: dropout that is off, an operator's own or attention's, draws none."""
    target = node.target
    if not isinstance(target, torch._ops.OpOverload) or torch.Tag.nondeterministic_seeded not in target.tags:
        return False
    arguments = target._schema.arguments
    given = {one.name: one.default_value for one in arguments if one.has_default_value()}
    given |= dict(zip((one.name for one in arguments), node.args, strict=False)) | node.kwargs
    return given.get("dropout_p") != 0 and given.get("train", given.get("training")) is not False
