"""What a converter of a torch operator is, and what all of them need: arguments by name, casts, constants.

    def logical_or(node, importer):
        given = Arguments.of(node, importer)
        return given.emit(relax.op.logical_or(given["self"], given["other"]))

A converter takes a graph node and the importer, whose `env` holds the Relax expression of every node before it, and
returns the node's own expression. torch says what that has to be: `node.meta["val"]` has its shape and its dtype.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch
    from tvm import relax

Converter = Callable[[Any, Any], "relax.Var"]


@dataclass(frozen=True)
class Arguments:
    """A node's arguments by the names in its operator's schema, those left out by their defaults.

    `values` has expressions where the node has tensors, `nodes` has the nodes themselves.
    """

    node: Any
    importer: Any
    nodes: dict[str, Any]
    values: dict[str, Any]

    @classmethod
    def of(cls, node: Any, importer: Any) -> Arguments:
        """Read a node."""
        nodes = {}
        for place, argument in enumerate(node.target._schema.arguments):
            if place < len(node.args):
                nodes[argument.name] = node.args[place]
            else:
                nodes[argument.name] = node.kwargs.get(
                    argument.name, argument.default_value if argument.has_default_value() else None
                )
        return cls(node, importer, nodes, {name: importer.expression_of(value) for name, value in nodes.items()})

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    @property
    def dtype(self) -> str:
        """The dtype of the result (of its first tensor, where there are several)."""
        return dtype_name(self.result.dtype)

    @property
    def shape(self) -> list[int]:
        """The shape of the result (of its first tensor)."""
        return [int(extent) for extent in self.result.shape]

    @property
    def result(self) -> Any:
        """What torch says that the result is: a tensor without values."""
        found = self.node.meta["val"]
        return found[0] if isinstance(found, (list, tuple)) else found

    def fake(self, name: str) -> Any:
        """Return what torch says of an argument: a tensor without values, or the number given."""
        node = self.nodes[name]
        return node.meta["val"] if hasattr(node, "meta") else node

    def shape_of(self, name: str) -> list[int]:
        """Return the shape of an argument."""
        return [int(extent) for extent in self.fake(name).shape]

    def emit(self, expression: Any) -> Any:
        """Bind an expression to a variable."""
        return self.importer.block_builder.emit(expression)

    def cast(self, value: Any, dtype: str) -> Any:
        """Return a tensor or a Python number as a tensor of `dtype`, converted as torch converts."""
        return cast(self.emit, value, dtype)


def dtype_name(dtype: torch.dtype) -> str:
    """Return TVM's (and numpy's) name of a torch dtype."""
    return str(dtype).removeprefix("torch.")


def dtype_of(value: Any) -> str:
    """Return the dtype of an expression."""
    return str(value.ty.dtype.dtype)


def cast(emit: Callable[[Any], Any], value: Any, dtype: str) -> Any:
    """Return `value` as `dtype`: floats to small integers through int32, whose low bits are kept.

    A float outside an integer's range has no value in C; torch and this keep the low bits, as the processor does.
    """
    from tvm import relax

    if isinstance(value, (bool, int, float)):
        return relax.const(np.asarray(value).astype(dtype), dtype)
    found = dtype_of(value)
    if found == dtype:
        return value
    if found.startswith(("float", "bfloat")) and dtype in ("int8", "uint8", "int16", "uint16"):
        value = emit(relax.op.astype(value, "int32"))
    return emit(relax.op.astype(value, dtype))
