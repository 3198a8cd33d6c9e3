"""What depends on no input of the network, computed by torch itself: grids, anchors, masks, resized position tables.

Tensors without elements depend on nothing either.

    values = compute_constants(program)         # {node: tensor}

torch's own arithmetic is right by definition, and what is known needs no converter. Weights pass through what only
rearranges them; whatever would grow beyond `MAX_COMPUTED_ELEMENTS` stays an operator.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from ovenbird.limits import MAX_COMPUTED_ELEMENTS
from ovenbird.networks.torch.converters.quantization import keeps_weight

aten = torch.ops.aten
FILLS = (aten.full_like.default, aten.new_full.default, aten.fill.Scalar)
"""Operators whose last argument is the number that they fill a tensor with."""
OF_NUMBERS = (torch.sym_float, torch.sym_int, torch.sym_ite, torch.sym_max, torch.sym_min, torch.sym_not)
"""Functions of Python numbers that stand in a graph as checks of shapes leave them."""
FILLED = {
    aten.new_ones.default: 1,
    aten.new_zeros.default: 0,
    aten.ones_like.default: 1,
    aten.zeros_like.default: 0,
}


def compute_constants(program: ExportedProgram) -> dict[Any, Any]:
    """Return the values of the nodes that depend on weights and numbers alone."""
    held = held_tensors(program)
    values: dict[Any, Any] = {}
    weighed: set[Any] = set()
    written = {node.args[0] for node in program.graph.nodes if _writes(node) and node.args}
    for node in program.graph.nodes:
        alike = _independent(node)
        if alike is not None:
            values[node] = alike
        elif node.op == "placeholder" and node.name in held:
            values[node] = held[node.name]
        elif node.op == "get_attr" and isinstance(getattr(program.graph_module, str(node.target), None), torch.Tensor):
            values[node] = getattr(program.graph_module, str(node.target))
        elif _computable(node, values, weighed) and not written.intersection((node, *node.all_input_nodes)):
            with torch.no_grad():
                args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), lambda operand: values[operand])
                values[node] = node.target(*args, **kwargs)
        if node in values and (node.op == "placeholder" or weighed.intersection(node.all_input_nodes)):
            weighed.add(node)
    return {node: value for node, value in values.items() if node.op != "placeholder"}


def _independent(node: Any) -> Any:
    """Return the tensor of a node that is the same whatever its operands hold: one without elements, or of one
    number."""
    found = node.meta.get("val")
    if node.op not in ("placeholder", "call_function") or not isinstance(found, torch.Tensor):
        return None
    if not _is_fixed(found.shape):
        return None
    if 0 in found.shape:
        return torch.empty(found.shape, dtype=found.dtype)
    number = FILLED.get(node.target, node.args[-1] if node.target in FILLS else None)
    return None if number is None else torch.full(found.shape, number, dtype=found.dtype)


def _is_fixed(shape: Any) -> bool:
    return all(isinstance(extent, int) for extent in shape)


def held_tensors(program: ExportedProgram) -> dict[str, Any]:
    """Return the program's weights, buffers and constants by the names of their placeholders."""
    kinds = (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR)
    tensors = {**program.state_dict, **program.constants}
    return {
        spec.arg.name: tensors[spec.target]
        for spec in program.graph_signature.input_specs
        if spec.kind in kinds and spec.target in tensors
    }


def _computable(node: Any, values: dict[Any, Any], weighed: set[Any]) -> bool:
    """Return whether a node has known operands, no side effect and no chance in it, and a result that is no larger.

    A weight that is repeated stays one in memory: `share_broadcast_matrices` multiplies by it once. Whole numbers are
    no weights but sizes and places.
    """
    if node.op != "call_function" or not all(operand in values for operand in node.all_input_nodes):
        return False
    if keeps_weight(node):
        return False
    if isinstance(node.target, torch._ops.OpOverload):
        if torch.Tag.nondeterministic_seeded in node.target.tags or node.target._schema.is_mutable:
            return False
    elif node.target.__module__ not in ("_operator", "operator", "math") and node.target not in OF_NUMBERS:
        return False
    found = torch.utils._pytree.tree_leaves(node.meta.get("val"))
    if not all(_is_fixed(one.shape) for one in found if isinstance(one, torch.Tensor)):
        return True  # how long it is depends on values, which are known here
    size = sum(int(one.numel()) for one in found if isinstance(one, torch.Tensor))
    given = sum(int(values[operand].numel()) for operand in node.all_input_nodes if hasattr(values[operand], "numel"))
    repeats = node.target is aten.expand.default and node.meta["val"].is_floating_point()
    if repeats and weighed.intersection(node.all_input_nodes):
        return size <= given
    return size <= max(given, MAX_COMPUTED_ELEMENTS)


def _writes(node: Any) -> bool:
    return isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable
