"""Buffers that a network writes while it answers.

    refuse_state(program)

An artifact keeps nothing between calls. What a call writes and reads itself is right, as is a count that no output
reads; where an output depends on what an earlier call wrote, the network would answer otherwise the second time.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import OutputKind

from ovenbird.errors import NetworkUntraceable
from ovenbird.networks.torch.graph.places import place_of

aten = torch.ops.aten
SHAPED_ALIKE = (
    aten.empty_like.default,
    aten.full_like.default,
    aten.new_empty.default,
    aten.new_full.default,
    aten.new_ones.default,
    aten.new_zeros.default,
    aten.ones_like.default,
    aten.zeros_like.default,
)
"""Operators that look at a tensor's shape and dtype, not at its values: what zeroes a buffer reads none of it."""


def refuse_state(program: ExportedProgram) -> None:
    """Raise NetworkUntraceable where an output reads what an earlier call may have written. `program` is functional."""
    signature = program.graph_signature
    results = next(node for node in program.graph.nodes if node.op == "output").args[0]
    written: dict[str, Any] = {}
    outputs: list[Any] = []
    for spec, result in zip(signature.output_specs, results, strict=True):
        if spec.kind is OutputKind.BUFFER_MUTATION:
            written[str(spec.target)] = result
        elif hasattr(result, "all_input_nodes"):
            outputs.append(result)
    if not written:
        return
    read = _everything_before(outputs)
    for spec in signature.input_specs:
        if spec.target in written and spec.arg.name in read:
            name = str(spec.target).removeprefix("net.")
            raise NetworkUntraceable(
                f"the network keeps {name} from one call to the next ({place_of(written[str(spec.target)])}), "
                "an artifact keeps nothing; make it an input and an output"
            )


def _everything_before(outputs: list[Any]) -> set[str]:
    """Return the names of all nodes whose values these depend on."""
    found: set[str] = set()
    rest = list(outputs)
    while rest:
        node = rest.pop()
        if node.name not in found:
            found.add(node.name)
            if node.target not in SHAPED_ALIKE:
                rest.extend(node.all_input_nodes)
    return found
