"""Operators that move elements or only say how they lie: every size is known while importing."""

from __future__ import annotations

import math

import numpy as np
from tvm import relax

from ovenbird.limits import MAX_NETWORK_ELEMENTS
from ovenbird.networks.onnx.dtypes import computed, element_dtype, widened
from ovenbird.networks.onnx.node import Node, OnnxConverter, OnnxValue, literal


def shape(node: Node) -> OnnxValue:
    """`Shape`, or a part of it: known, whatever the values are."""
    found = np.array(node.shape(0), np.int64)
    return found[slice(node.attribute("start", 0), node.attribute("end"))]


def size(node: Node) -> OnnxValue:
    """`Size`: known, whatever the values are."""
    return np.array(math.prod(node.shape(0)), np.int64)


def identity(node: Node) -> OnnxValue:
    """`Identity`, and what does nothing here: `Dropout` when not training."""
    return node.inputs[0]


def dropout(node: Node) -> OnnxValue:
    """`Dropout`: nothing is dropped outside of training, the mask is all true."""
    training = node.known(2) if node.has(2) else np.array(False)
    if training is None or (bool(training) and not (node.has(1) and node.known(1) is not None and not node.known(1))):
        raise node.refuse("it is in training mode; export the network in evaluation mode")
    return node.inputs[0], np.ones(node.shape(0), np.bool_)


def reshape(node: Node) -> relax.Expr:
    """`Reshape`: 0 keeps a dimension unless `allowzero`, -1 is what is left."""
    asked = node.integers(1, "shape") if node.has(1) else list(node.attribute("shape", ()))
    own = node.shape(0)
    if not node.attribute("allowzero", 0):
        asked = [own[index] if extent == 0 and index < len(own) else extent for index, extent in enumerate(asked)]
    rest = math.prod(extent for extent in asked if extent != -1)
    result = [math.prod(own) // max(rest, 1) if extent == -1 else extent for extent in asked]
    if math.prod(result) != math.prod(own):
        raise node.refuse(f"{list(own)} cannot be reshaped to {asked}")
    return relax.op.reshape(node.tensor(0), result)


def flatten(node: Node) -> relax.Expr:
    """`Flatten` to a matrix."""
    own, axis = node.shape(0), node.attribute("axis", 1)
    axis = axis + len(own) if axis < 0 else axis
    return relax.op.reshape(node.tensor(0), [math.prod(own[:axis]), math.prod(own[axis:])])


def squeeze(node: Node) -> relax.Expr:
    """`Squeeze`: the axes given, else all of one element."""
    own = node.shape(0)
    axes = node.integers(1, "axes") if node.has(1) else node.attribute("axes")
    gone = {axis % len(own) for axis in axes} if axes is not None else {i for i, n in enumerate(own) if n == 1}
    if wrong := [axis for axis in sorted(gone) if own[axis] != 1]:
        raise node.refuse(f"dimension {wrong[0]} of {list(own)} is not 1")
    return relax.op.reshape(node.tensor(0), [extent for axis, extent in enumerate(own) if axis not in gone])


def unsqueeze(node: Node) -> relax.Expr:
    """`Unsqueeze`: dimensions of one element at these places of the result."""
    axes = node.integers(1, "axes") if node.has(1) else node.attribute("axes")
    own = node.shape(0)
    rank = len(own) + len(axes)
    added, rest = {axis % rank for axis in axes}, iter(own)
    return relax.op.reshape(node.tensor(0), [1 if axis in added else next(rest) for axis in range(rank)])


def transpose(node: Node) -> relax.Expr:
    """`Transpose`: reversed where no order is given."""
    rank = len(node.shape(0))
    order = list(node.attribute("perm") or reversed(range(rank)))
    return node.tensor(0) if order == list(range(rank)) else relax.op.permute_dims(node.tensor(0), order)


def expand(node: Node) -> relax.Expr:
    """`Expand`: stretched to a shape, either way."""
    own = node.shape(0)
    result = np.broadcast_shapes(own, tuple(node.integers(1, "shape")))
    return node.tensor(0) if result == own else relax.op.broadcast_to(node.tensor(0), result)


def tile(node: Node) -> relax.Expr:
    """`Tile`."""
    if len(node.inputs) == 3:  # version 1: how often, along which axis
        repeats = [1] * len(node.shape(0))
        repeats[node.integers(2, "axis")[0]] = node.integers(1, "tiles")[0]
    else:
        repeats = node.integers(1, "repeats")
    return relax.op.tile(node.tensor(0), repeats)


def concat(node: Node) -> relax.Expr:
    """`Concat`; parts without elements are left out."""
    rank = len(node.shape(0))
    parts = [node.tensor(index) for index in range(len(node.inputs)) if math.prod(node.shape(index))]
    axis = node.attribute("axis", 1) % rank
    return parts[0] if len(parts) == 1 else relax.op.concat(parts, axis)


def split(node: Node) -> tuple[OnnxValue, ...]:
    """`Split`: by sizes, or into equal parts of which the last may be smaller."""
    own = node.shape(0)
    axis = node.attribute("axis", 0) % len(own)
    if node.has(1) or node.attribute("split"):
        sizes = node.integers(1, "split") if node.has(1) else list(node.attribute("split"))
    else:
        count = node.attribute("num_outputs") or len(node.outputs)
        part = -(-own[axis] // count)
        sizes = [min(part, own[axis] - part * index) for index in range(count)]
    if sum(sizes) != own[axis] or min(sizes) < 0:
        raise node.refuse(f"sizes {sizes} of dimension {axis} of {list(own)}")
    filled = [extent for extent in sizes if extent]
    if len(filled) == 1:
        parts = iter([node.tensor(0)])
    else:
        apart = node.emit(relax.op.split(node.tensor(0), [int(end) for end in np.cumsum(filled)[:-1]], axis))
        parts = iter([node.emit(relax.TupleGetItem(apart, index)) for index in range(len(filled))])
    nothing = np.zeros([0 if place == axis else extent for place, extent in enumerate(own)], node.dtype(0))
    return tuple(next(parts) if extent else nothing for extent in sizes)


def cut(node: Node) -> OnnxValue:
    """`Slice`: as Python's, ends beyond the edge are the edge."""
    own = node.shape(0)
    if node.version < 10:
        starts, ends = list(node.attribute("starts")), list(node.attribute("ends"))
        axes, steps = node.attribute("axes"), None
    else:
        starts, ends = node.integers(1, "starts"), node.integers(2, "ends")
        axes = node.integers(3, "axes") if node.has(3) else None
        steps = node.integers(4, "steps") if node.has(4) else None
    result = node.tensor(0)
    places = list(range(len(starts))) if axes is None else [axis % len(own) for axis in axes]
    begins, stops, strides = [], [], []
    for axis, start, end, step in zip(places, starts, ends, steps or [1] * len(starts), strict=True):
        taken = range(own[axis])[start:end:step]
        if not taken:
            kept = zip(places, starts, ends, steps or [1] * len(starts), strict=True)
            extents = {place: len(range(own[place])[first:last:gap]) for place, first, last, gap in kept}
            return np.zeros([extents.get(place, extent) for place, extent in enumerate(own)], node.dtype(0))
        if taken.step < 0:  # the same elements forwards, then turned around
            taken = taken[::-1]
        begins.append(taken.start)
        stops.append(taken[-1] + 1)
        strides.append(taken.step)
    if any(range(own[a])[b:s:t] != range(own[a]) for a, b, s, t in zip(places, begins, stops, strides, strict=True)):
        result = node.emit(relax.op.strided_slice(result, places, begins, stops, strides))
    for axis, step in zip(places, steps or (), strict=False):
        if step < 0:
            result = node.emit(relax.op.flip(result, axis))
    return result


def depth_to_space(node: Node) -> relax.Expr:
    """`DepthToSpace`: channels become pixels, the block's places outermost ("DCR") or innermost ("CRD")."""
    batch, channels, height, width = node.shape(0)
    block = node.attribute("blocksize")
    depth = channels // block**2
    if node.attribute("mode", "DCR") == "DCR":
        parts, order = [batch, block, block, depth, height, width], [0, 3, 4, 1, 5, 2]
    else:
        parts, order = [batch, depth, block, block, height, width], [0, 1, 4, 2, 5, 3]
    apart = node.emit(relax.op.reshape(node.tensor(0), parts))
    moved = node.emit(relax.op.permute_dims(apart, order))
    return relax.op.reshape(moved, [batch, depth, height * block, width * block])


def space_to_depth(node: Node) -> relax.Expr:
    """`SpaceToDepth`: pixels become channels, the block's places outermost ("DCR") or innermost ("CRD")."""
    batch, channels, height, width = node.shape(0)
    block = node.attribute("blocksize")
    apart = node.emit(
        relax.op.reshape(node.tensor(0), [batch, channels, height // block, block, width // block, block])
    )
    order = [0, 3, 5, 1, 2, 4] if node.attribute("mode", "DCR") == "DCR" else [0, 1, 3, 5, 2, 4]
    moved = node.emit(relax.op.permute_dims(apart, order))
    return relax.op.reshape(moved, [batch, channels * block**2, height // block, width // block])


def triangle(node: Node) -> relax.Expr:
    """`Trilu`: the upper or the lower triangle, zero elsewhere."""
    diagonal = node.integers(1, "diagonal")[0] if node.has(1) else 0
    rows, columns = node.shape(0)[-2:]
    diagonal = max(-rows, min(columns, diagonal))
    kept = np.ones((rows, columns), np.bool_)
    kept = np.triu(kept, diagonal) if node.attribute("upper", 1) else np.tril(kept, diagonal)
    zero = literal(np.zeros((), node.dtype(0)))
    return relax.op.where(literal(kept), node.tensor(0), zero)


def one_hot(node: Node) -> relax.Expr:
    """`OneHot`: the second value where the index is, the first elsewhere; an index out of range is nowhere."""
    depth = node.integers(1, "depth")[0]
    rank = len(node.shape(0)) + 1
    axis = node.attribute("axis", -1) % rank
    indices = node.emit(relax.op.astype(node.tensor(0), "int64"))
    negative = node.emit(relax.op.less(indices, literal(np.zeros((), np.int64))))
    wrapped = node.emit(relax.op.add(indices, literal(np.array(depth, np.int64))))
    indices = node.emit(relax.op.expand_dims(node.emit(relax.op.where(negative, wrapped, indices)), axis))
    classes = np.arange(depth).reshape([-1 if place == axis else 1 for place in range(rank)])
    chosen = node.emit(relax.op.equal(indices, literal(classes.astype(np.int64))))
    values = node.constant(2, "values")
    return relax.op.where(chosen, literal(values[1].reshape(())), literal(values[0].reshape(())))


def filled(node: Node) -> relax.Expr:
    """`ConstantOfShape`, where it is too large to be made while importing."""
    shape = node.integers(0, "shape")
    if math.prod(shape) > MAX_NETWORK_ELEMENTS:
        raise node.refuse(f"it gives {math.prod(shape)} elements, limit {MAX_NETWORK_ELEMENTS}")
    value = node.attribute("value", np.zeros(1, np.float32))
    return relax.op.full(shape, literal(widened(value).reshape(())))


def eye_like(node: Node) -> OnnxValue:
    """`EyeLike`: known, whatever the values are."""
    wanted = node.attribute("dtype")
    dtype = computed(element_dtype(wanted)) if wanted is not None else np.dtype(node.dtype(0))
    rows, columns = node.shape(0)
    return np.eye(rows, columns, node.attribute("k", 0), dtype)


def compress(node: Node) -> relax.Expr:
    """`Compress` by a constant: the elements where it is true."""
    kept = np.flatnonzero(node.constant(1, "condition"))
    if not kept.size:
        raise node.refuse("it takes nothing")
    data, axis = node.tensor(0), node.attribute("axis")
    if axis is None:
        data, axis = node.emit(relax.op.reshape(data, [math.prod(node.shape(0))])), 0
    return node.take(data, kept, axis % len(node.shape(0)))


def reverse_sequence(node: Node) -> relax.Expr:
    """`ReverseSequence`: the first elements of each row turned around, as many as a constant says."""
    own = node.shape(0)
    time, batch = node.attribute("time_axis", 0), node.attribute("batch_axis", 1)
    places = np.tile(np.arange(own[time]), (own[batch], 1))
    for row, length in enumerate(node.integers(1, "sequence_lens")):
        places[row, :length] = places[row, :length][::-1]
    if time < batch:
        places = places.T
    index = places.reshape([own[axis] if axis in (time, batch) else 1 for axis in range(len(own))])
    return relax.op.gather_elements(node.tensor(0), literal(np.broadcast_to(index, own).astype(np.int64)), time)


SHAPES: dict[str, OnnxConverter] = {
    "Compress": compress,
    "Concat": concat,
    "ConstantOfShape": filled,
    "DepthToSpace": depth_to_space,
    "Dropout": dropout,
    "Expand": expand,
    "EyeLike": eye_like,
    "Flatten": flatten,
    "Identity": identity,
    "OneHot": one_hot,
    "Reshape": reshape,
    "ReverseSequence": reverse_sequence,
    "Shape": shape,
    "Size": size,
    "Slice": cut,
    "SpaceToDepth": space_to_depth,
    "Split": split,
    "Squeeze": squeeze,
    "Tile": tile,
    "Transpose": transpose,
    "Trilu": triangle,
    "Unsqueeze": unsqueeze,
}
