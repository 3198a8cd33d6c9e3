"""What a converter of an ONNX operator is given: the node with its values, and where to write.

    def relu(node: Node) -> relax.Expr:
        return relax.op.nn.relu(node.tensor(0))

A value is a numpy array where it is known while importing (weights, and all that is computed from them and from
shapes), else a Relax expression of static shape, else a list of values (ONNX's sequences).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from tvm import relax

from ovenbird.errors import UnsupportedOperator
from ovenbird.passes.shapes import static_shape
from ovenbird_runtime.tensors.arrays import Array

OnnxValue = Any
"""`Array | relax.Expr | list[OnnxValue]`, or None where an optional input is left out."""

OnnxConverter = Callable[["Node"], "OnnxValue | tuple[OnnxValue, ...]"]
"""Returns the node's output, a tuple where the operator has several. Raises what `Node.refuse` makes."""


@dataclass
class Node:
    """One operator of the graph, its inputs known."""

    op_type: str
    name: str
    opset: int
    """The version of the operator's own set that the model asks for."""

    version: int
    """The version in which the operator was last changed, at most `opset`: what its definition is called by."""

    inputs: list[OnnxValue]
    outputs: tuple[str, ...]
    """The names of the outputs; "" for one that nobody reads."""

    attributes: dict[str, Any]
    """By name, defaults of the operator's definition included: int, float, str, lists, arrays, graphs."""

    builder: relax.BlockBuilder
    branch: Callable[[Any, Sequence[OnnxValue]], list[OnnxValue]] = field(repr=False)
    """Imports a graph that is an attribute, given its inputs; it sees the names around the node."""

    declared: Mapping[str, tuple[int, ...]] = field(default_factory=dict, repr=False)
    """The shapes that the model itself states for its values, where all of their extents are numbers."""

    producer: str = ""
    """What wrote the model."""

    def has(self, index: int) -> bool:
        """Return whether an optional input is given."""
        return index < len(self.inputs) and self.inputs[index] is not None

    def tensor(self, index: int) -> relax.Expr:
        """Return an input as an expression. Raises UnsupportedOperator where it is left out or a sequence."""
        value = self.inputs[index] if index < len(self.inputs) else None
        if value is None or isinstance(value, list):
            raise self.refuse(f"input {index} is {'left out' if value is None else 'a sequence'}")
        return as_expression(value)

    def known(self, index: int) -> Array | None:
        """Return an input's value where it is known while importing."""
        value = self.inputs[index] if index < len(self.inputs) else None
        return value if isinstance(value, np.ndarray) else None

    def constant(self, index: int, what: str) -> Array:
        """Return an input's value. Raises UnsupportedOperator where it is computed from the network's inputs."""
        value = self.known(index)
        if value is None:
            raise self.refuse(f"its {what} is computed from the network's inputs; make it a constant")
        return value

    def integers(self, index: int, what: str) -> list[int]:
        """Return a constant input as a list of whole numbers."""
        return [int(number) for number in self.constant(index, what).reshape(-1)]

    def shape(self, index: int) -> tuple[int, ...]:
        """Return the shape of an input."""
        return shape_of(self.inputs[index])

    def dtype(self, index: int) -> str:
        """Return the dtype of an input, as it is computed."""
        return dtype_of(self.inputs[index])

    def attribute(self, name: str, default: Any = None) -> Any:
        """Return an attribute, `default` where it is not given and has none of its own."""
        return self.attributes.get(name, default)

    def emit(self, expression: relax.Expr) -> relax.Var:
        """Write an expression into the function, bound to a variable."""
        return cast("relax.Var", self.builder.emit(expression))

    def emit_te(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> relax.Var:
        """Write a tensor expression (a function of TE tensors) into the function."""
        return cast(
            "relax.Var", self.builder.emit_te(function, *arguments, primfunc_name_hint=self.op_type.lower(), **options)
        )

    def take(self, data: relax.Expr, places: Array, axis: int) -> relax.Var:
        """Write the slices of an axis at places known to be within it."""
        return self.emit(relax.op.take(data, literal(places.astype(np.int64)), axis, mode="clip"))

    def refuse(self, why: str) -> UnsupportedOperator:
        """Return the error that names this node, to be raised."""
        return UnsupportedOperator(f"the operator {self}: {why}")

    def __str__(self) -> str:
        return f"{self.op_type} ({self.name})" if self.name else self.op_type


def as_expression(value: OnnxValue) -> relax.Expr:
    """Return a value as a Relax expression."""
    return literal(value) if isinstance(value, np.ndarray) else value


def literal(array: Any) -> relax.Expr:
    """Return an array as an expression in its own dtype, which Relax would narrow to 32 bits."""
    return relax.const(array, str(array.dtype))


def shape_of(value: OnnxValue) -> tuple[int, ...]:
    """Return the static shape of an array or an expression. Raises UnsupportedOperator where there is none."""
    if isinstance(value, np.ndarray):
        return tuple(value.shape)
    found = static_shape(value)
    if found is None:
        raise UnsupportedOperator("a shape depends on the values of the network's inputs")
    return found


def dtype_of(value: OnnxValue) -> str:
    """Return the dtype of an array or an expression by numpy's name."""
    return str(value.dtype) if isinstance(value, np.ndarray) else str(value.ty.dtype.dtype)
