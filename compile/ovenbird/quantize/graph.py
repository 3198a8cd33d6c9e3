"""A network's `main` as a graph: who makes a tensor, who reads it, and which operators follow a layer in registers.

graph = Graph.of(module["main"])
graph.readers[variable]                     # calls and where they read it, in order
graph.chain(convolution)                    # the variables up to the one that is stored
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import tvm
from tvm import relax

from ovenbird.lowering.operators.names import BINARY, UNARY
from ovenbird.passes.shapes import static_shape

ELEMENTWISE = frozenset((*UNARY, *BINARY, "relax.nn.prelu", "relax.power"))
"""Operators that a layer's results pass through before they are stored."""


@dataclass
class Graph:
    """One function. `order`: its variables as they are bound, parameters first."""

    order: list[relax.Var]
    definitions: dict[relax.Var, relax.Expr]
    readers: dict[relax.Var, list[tuple[relax.Var, int]]]
    """For each variable: the variables that are computed from it, and as which operand."""
    outputs: frozenset[relax.Var]
    places: dict[relax.Var, int] = field(default_factory=dict)
    """Where each variable stands in `order`."""

    @staticmethod
    def of(function: relax.Function) -> Graph:
        """Look at a function of one block."""
        order: list[relax.Var] = list(function.params)
        definitions: dict[relax.Var, relax.Expr] = {}
        readers: dict[relax.Var, list[tuple[relax.Var, int]]] = {}
        for block in function.body.blocks:
            for binding in block.bindings:
                order.append(binding.var)
                definitions[binding.var] = binding.value
                for index, operand in enumerate(operands(binding.value)):
                    if isinstance(operand, relax.Var):
                        readers.setdefault(operand, []).append((binding.var, index))
        result = function.body.body
        outputs = set(variables(result))
        while isinstance(result, relax.Var) and not isinstance(definitions.get(result), relax.Call):
            result = definitions.get(result, ())
            outputs.update(variables(result))
        return Graph(order, definitions, readers, frozenset(outputs), {var: at for at, var in enumerate(order)})

    def name(self, var: relax.Var) -> str:
        """Return the operator that makes a variable; "" where none does."""
        return getattr(getattr(self.definitions.get(var), "op", None), "name", "")

    def chain(self, start: relax.Var) -> list[relax.Var]:
        """Return what is computed of a layer's result element by element, up to the value that is stored.

        Paths may part and meet again (x * sigmoid(x)); operands from elsewhere, as of a residual sum, were made before.
        """
        region, ends = [start], 1
        members = {start}
        while True:
            following = self._next(start, members)
            if following is None:
                return region[:ends]
            region.append(following)
            members.add(following)
            open_ends = [var for var in region if var in self.outputs or self._read_outside(var, members)]
            if open_ends in ([], [following]):
                ends = len(region)

    def _next(self, start: relax.Var, members: set[relax.Var]) -> relax.Var | None:
        """Return the first elementwise operator after these, of their shape, whose other operands are there already."""
        readers = {reader for var in members for reader, _ in self.readers.get(var, [])} - members
        shape = static_shape(start)
        for reader in sorted(readers, key=self.places.__getitem__):
            if self.name(reader) not in ELEMENTWISE or static_shape(reader) != shape:
                continue
            others = [var for var in variables(self.definitions[reader]) if var not in members]
            if all(self.places[var] < self.places[start] for var in others):
                return reader
        return None

    def _read_outside(self, var: relax.Var, members: set[relax.Var]) -> bool:
        return any(reader not in members for reader, _ in self.readers.get(var, []))


def operands(value: relax.Expr) -> Sequence[relax.Expr]:
    """Return what an expression is computed from; a tuple that a call is given counts as its fields."""
    if isinstance(value, relax.Call):
        found: list[relax.Expr] = []
        for argument in value.args:
            found += list(argument.fields) if isinstance(argument, relax.Tuple) else [argument]
        return found
    if isinstance(value, relax.Tuple):
        return list(value.fields)
    if isinstance(value, relax.TupleGetItem):
        return [value.tuple_value]
    return [value] if isinstance(value, relax.Var) else []


def variables(value: Any) -> list[relax.Var]:
    """Return the variables that an expression reads."""
    if isinstance(value, relax.Var):
        return [value]
    if isinstance(value, (relax.Tuple, relax.Call, relax.TupleGetItem)):
        return [var for operand in operands(value) for var in variables(operand)]
    return []


def is_constant(value: Any) -> bool:
    """Return whether an expression is a constant tensor."""
    return isinstance(value, tvm.ir.GenericConst)
