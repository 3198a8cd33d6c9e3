"""From what torch traced to operators that there are converters for: by torch's own definitions of the others.

program = decompose(program, known, ours)       # names of operators that have a converter; those of our own converters

torch defines most of its operators by simpler ones: exactly what it computes, promotion of dtypes included. Core ATen
comes first, as in `torch.export`'s own decomposition, but for what our converters take whole; whatever is unknown then
is opened until all is known, or has no definition: torch's, or one of `definitions.py`.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch._export.utils as listing
from torch._decomp import decomposition_table
from torch.export import ExportedProgram, default_decompositions

from ovenbird.networks.torch.graph.definitions import definitions
from ovenbird.networks.torch.numbers import with_numbers
from ovenbird.networks.torch.products import with_whole_products

UNTABLED = (torch.ops.aten._upsample_bilinear2d_aa.vec, torch.ops.aten._upsample_bicubic2d_aa.vec)
"""Operators that torch would turn into an overload without a definition, where they are not ours."""

OURS_FIRST = (torch.ops.aten.affine_grid_generator.default,)
"""Operators whose definition by torch cannot be traced: it makes a tensor of a number where a side is one pixel."""

_list_composites = getattr(listing, "_materialize_cpp_cia_ops", None)


@contextmanager
def composites_listed() -> Iterator[None]:
    """Let torch ask its dispatcher once for the operators that are made of others: it would for every namespace of
    operators, twice in each decomposition, which takes 0.2 s of a small network's import.
    """
    if _list_composites is None:  # a torch that does it otherwise
        yield
        return
    _list_composites()
    listing._materialize_cpp_cia_ops = lambda: None
    try:
        yield
    finally:
        listing._materialize_cpp_cia_ops = _list_composites


def decompose(program: ExportedProgram, known: Container[str], ours: Container[str]) -> ExportedProgram:
    """Return the program in terms of known operators, as far as torch defines the others."""
    with composites_listed():
        return _decompose(program, known, ours)


def _decompose(program: ExportedProgram, known: Container[str], ours: Container[str]) -> ExportedProgram:
    core: dict[Any, Any] = dict(default_decompositions().materialize())
    core.update({one: decomposition_table[one] for one in UNTABLED})
    core.update({one: definitions()[one] for one in OURS_FIRST})
    core = with_whole_products(core)
    core = {one: definition for one, definition in core.items() if one.__name__ not in ours}
    program = _opened(program, with_numbers(core))
    defined = {**decomposition_table, **definitions()}
    tried: set[Any] = set()
    while True:
        unknown = {
            node.target
            for node in program.graph.nodes
            if node.op == "call_function" and node.target.__name__ not in known and node.target in defined
        } - tried
        if not unknown:
            return program
        tried |= unknown
        program = _opened(program, {one: defined[one] for one in unknown})


def _opened(program: ExportedProgram, definitions: dict[Any, Any]) -> ExportedProgram:
    opened: ExportedProgram = program.run_decompositions(definitions)
    for node in opened.graph.nodes:
        node.meta.pop("from_node", None)  # each pass would copy what it came from, ever longer
    return opened
