"""Elements by their places: those that are computed are brought into range later (`passes.bound_indices`)."""

from __future__ import annotations

import numpy as np
from tvm import relax

from ovenbird.networks.onnx.node import Node, OnnxConverter, literal
from ovenbird_runtime.tensors.arrays import Array


def within(node: Node, places: Array, extents: Array | int) -> Array:
    """Return constant places counted from the beginning. Raises UnsupportedOperator for one out of range."""
    if (places < -extents).any() or (places >= extents).any():
        raise node.refuse(f"it takes a place out of range of {list(node.shape(0))}")
    found: Array = places.astype(np.int64) % extents
    return found


def gather(node: Node) -> relax.Expr:
    """`Gather`: slices by their places; those that are computed are brought into range later."""
    axis = node.attribute("axis", 0) % len(node.shape(0))
    extent, places = node.shape(0)[axis], node.known(1)
    if places is None:
        return relax.op.take(node.tensor(0), node.tensor(1), axis)
    return node.take(node.tensor(0), within(node, places, extent), axis)


def gather_elements(node: Node) -> relax.Expr:
    """`GatherElements`: of each line along an axis its own places."""
    axis = node.attribute("axis", 0) % len(node.shape(0))
    places = node.known(1)
    index = node.tensor(1) if places is None else literal(within(node, places, node.shape(0)[axis]))
    return relax.op.gather_elements(node.tensor(0), index, axis)


def gather_nd(node: Node) -> relax.Expr:
    """`GatherND`: slices by vectors of places, after the dimensions that are a batch."""
    batch, places = node.attribute("batch_dims", 0), node.known(1)
    if places is None:
        return relax.op.gather_nd(node.tensor(0), node.tensor(1), batch)
    extents = np.array(node.shape(0)[batch : batch + places.shape[-1]])
    return relax.op.gather_nd(node.tensor(0), literal(within(node, places, extents)), batch)


GATHERS: dict[str, OnnxConverter] = {
    "Gather": gather,
    "GatherElements": gather_elements,
    "GatherND": gather_nd,
}
