"""Sequences of tensors, which are lists while importing: their lengths and places are known."""

from __future__ import annotations

import numpy as np
from tvm import relax

from ovenbird.networks.onnx.node import Node, OnnxConverter, OnnxValue, as_expression


def sequence(node: Node) -> list[OnnxValue]:
    """Return the first input, a sequence."""
    value = node.inputs[0]
    if not isinstance(value, list):
        raise node.refuse("input 0 is no sequence")
    return value


def construct(node: Node) -> list[OnnxValue]:
    """`SequenceConstruct`."""
    return list(node.inputs)


def empty(node: Node) -> list[OnnxValue]:
    """`SequenceEmpty`."""
    return []


def at(node: Node) -> OnnxValue:
    """`SequenceAt`."""
    return sequence(node)[_place(node, 1, len(sequence(node)) - 1)]


def insert(node: Node) -> list[OnnxValue]:
    """`SequenceInsert`: at the end where no place is given."""
    values = list(sequence(node))
    values.insert(_place(node, 2, len(values)) if node.has(2) else len(values), node.inputs[1])
    return values


def erase(node: Node) -> list[OnnxValue]:
    """`SequenceErase`: the last where no place is given."""
    values = list(sequence(node))
    del values[_place(node, 1, len(values) - 1) if node.has(1) else -1]
    return values


def length(node: Node) -> OnnxValue:
    """`SequenceLength`."""
    return np.array(len(sequence(node)), np.int64)


def split(node: Node) -> list[OnnxValue]:
    """`SplitToSequence`: into parts of a size, of sizes, or single slices."""
    own = node.shape(0)
    axis = node.attribute("axis", 0) % len(own)
    if not node.has(1):
        sizes = [1] * own[axis]
    elif node.constant(1, "split").ndim:
        sizes = node.integers(1, "split")
    else:
        size = max(node.integers(1, "split")[0], 1)
        sizes = [min(size, own[axis] - start) for start in range(0, own[axis], size)]
    ends = [int(end) for end in np.cumsum(sizes)]
    parts = [
        node.emit(relax.op.strided_slice(node.tensor(0), [axis], [end - size], [end]))
        for size, end in zip(sizes, ends, strict=True)
    ]
    if node.has(1) or node.attribute("keepdims", 1):
        return list(parts)
    return [node.emit(relax.op.squeeze(part, [axis])) for part in parts]


def concat(node: Node) -> OnnxValue:
    """`ConcatFromSequence`: along an axis, or along a new one."""
    parts = [as_expression(value) for value in sequence(node)]
    if not parts:
        raise node.refuse("the sequence is empty")
    axis = node.attribute("axis")
    if node.attribute("new_axis", 0):
        axis %= len(parts[0].ty.shape.values) + 1
        parts = [node.emit(relax.op.expand_dims(part, axis)) for part in parts]
    return relax.op.concat(parts, axis) if len(parts) > 1 else parts[0]


def _place(node: Node, index: int, last: int) -> int:
    place = node.integers(index, "place")[0]
    place = place + last + 1 if place < 0 else place
    if not 0 <= place <= last:
        raise node.refuse(f"place {place} of a sequence whose last is {last}")
    return place


SEQUENCES: dict[str, OnnxConverter] = {
    "ConcatFromSequence": concat,
    "SequenceAt": at,
    "SequenceConstruct": construct,
    "SequenceEmpty": empty,
    "SequenceErase": erase,
    "SequenceInsert": insert,
    "SequenceLength": length,
    "SplitToSequence": split,
}
