"""Normalizations: of batches, images, layers, neighbouring channels."""

from __future__ import annotations

import numpy as np
from tvm import relax

from ovenbird.networks.onnx.converters.maps.elementwise import scalar
from ovenbird.networks.onnx.node import Node, OnnxConverter, OnnxValue, literal


def batch(node: Node) -> OnnxValue | tuple[OnnxValue, ...]:
    """`BatchNormalization` by the statistics given, or by those of the batch where it is in training mode."""
    epsilon = node.attribute("epsilon", 1e-5)
    if not node.attribute("spatial", 1) and len(node.shape(0)) > 2:  # version 7
        raise node.refuse("it has statistics for each pixel (spatial=0); export the network anew")
    if node.attribute("training_mode", 0):
        return trained_batch(node, epsilon)
    normal = relax.op.nn.batch_norm(
        *(node.tensor(index) for index in range(5)), axis=1, epsilon=epsilon, training=False
    )
    return node.emit(relax.TupleGetItem(node.emit(normal), 0))


def trained_batch(node: Node, epsilon: float) -> tuple[OnnxValue, ...]:
    """Return the batch normalized by its own mean and variance, and the running mean and variance after it."""
    rank = len(node.shape(0))
    axes = [axis for axis in range(rank) if axis != 1]
    column = [1, -1] + [1] * (rank - 2)
    data = node.tensor(0)
    mean, centred, variance = spread(node, data, axes)
    normal = divided(node, centred, variance, epsilon)
    scale, shift = (node.emit(relax.op.reshape(node.tensor(index), column)) for index in (1, 2))
    result = node.emit(relax.op.add(node.emit(relax.op.multiply(normal, scale)), shift))
    momentum = node.attribute("momentum", 0.9)
    running = []
    for index, found in ((3, mean), (4, variance)):
        kept = node.emit(relax.op.multiply(node.tensor(index), literal(np.array(momentum, node.dtype(index)))))
        flat = node.emit(relax.op.reshape(found, [node.shape(0)[1]]))
        new = node.emit(relax.op.multiply(flat, scalar(node, 1 - momentum)))
        running.append(node.emit(relax.op.add(kept, new)))
    return (result, *running)


def spread(node: Node, data: relax.Expr, axes: list[int]) -> tuple[relax.Var, relax.Var, relax.Var]:
    """Return the mean, what is left without it, and the variance: in two passes, which keeps all digits."""
    mean = node.emit(relax.op.mean(data, axes, keepdims=True))
    centred = node.emit(relax.op.subtract(data, mean))
    variance = node.emit(relax.op.mean(node.emit(relax.op.multiply(centred, centred)), axes, keepdims=True))
    return mean, centred, variance


def divided(node: Node, centred: relax.Expr, variance: relax.Expr, epsilon: float) -> relax.Var:
    """Return values divided by their standard deviation."""
    return node.emit(relax.op.divide(centred, _deviation(node, variance, epsilon)))


def _deviation(node: Node, variance: relax.Expr, epsilon: float) -> relax.Var:
    small = literal(np.array(epsilon, str(variance.ty.dtype.dtype)))
    return node.emit(relax.op.sqrt(node.emit(relax.op.add(variance, small))))


def instance(node: Node) -> relax.Expr:
    """`InstanceNormalization`: each channel of each image is a group of its own."""
    return in_groups(node, node.shape(0)[1], [node.tensor(index) for index in (1, 2)])


def group(node: Node) -> relax.Expr:
    """`GroupNormalization`: scale and shift of each channel, or of each group (version 18).

    The standard's own body subtracts squares, and loses all digits where the mean is large against the deviation.
    """
    channels, groups = node.shape(0)[1], node.attribute("num_groups")
    each = [node.tensor(index) for index in (1, 2)]
    if node.shape(1) != (channels,):
        each = [node.emit(relax.op.repeat(one, channels // groups, axis=0)) for one in each]
    return in_groups(node, groups, each)


def in_groups(node: Node, groups: int, each: list[relax.Expr]) -> relax.Expr:
    """Return the image normalized by groups of channels; `each`: scale and shift of a channel."""
    return relax.op.nn.group_norm(
        node.tensor(0),
        *each,
        num_groups=groups,
        channel_axis=1,
        axes=list(range(2, len(node.shape(0)))),
        epsilon=node.attribute("epsilon", 1e-5),
    )


def mean_variance(node: Node) -> relax.Expr:
    """`MeanVarianceNormalization` over some dimensions; its standard's body subtracts squares, too."""
    _, centred, variance = spread(node, node.tensor(0), list(node.attribute("axes", [0, 2, 3])))
    deviation = node.emit(relax.op.add(node.emit(relax.op.sqrt(variance)), scalar(node, 1e-9)))
    return relax.op.divide(centred, deviation)


def layer(node: Node) -> relax.Expr | tuple[relax.Expr, ...]:
    """`LayerNormalization` over all dimensions from the axis on; also its mean and inverse deviation."""
    rank = len(node.shape(0))
    axes = list(range(node.attribute("axis", -1) % rank, rank))
    epsilon = node.attribute("epsilon", 1e-5)
    scaled = [node.shape(0)[axis] for axis in axes]
    fits = node.shape(1) == tuple(scaled) and (not node.has(2) or node.shape(2) == tuple(scaled))
    if fits and not any(node.outputs[1:]):
        shift = node.tensor(2) if node.has(2) else literal(np.zeros(scaled, node.dtype(0)))
        return relax.op.nn.layer_norm(node.tensor(0), node.tensor(1), shift, axes=axes, epsilon=epsilon)
    mean, centred, variance = spread(node, node.tensor(0), axes)
    deviation = _deviation(node, variance, epsilon)
    normal = node.emit(relax.op.divide(centred, deviation))
    result = node.emit(relax.op.multiply(normal, node.tensor(1)))
    if node.has(2):
        result = node.emit(relax.op.add(result, node.tensor(2)))
    inverse = node.emit(relax.op.divide(literal(np.array(1, node.dtype(0))), deviation))
    return result, mean, inverse


def across_channels(node: Node) -> relax.Expr:
    """`LRN`: divided by a power of the mean square of neighbouring channels."""
    shape, size = node.shape(0), node.attribute("size")
    data = node.tensor(0)
    squares = node.emit(relax.op.multiply(data, data))
    widths = [0, 0, (size - 1) // 2, size // 2] + [0, 0] * (len(shape) - 2)
    around = node.emit(relax.op.nn.pad(squares, widths))
    total = None
    for first in range(size):
        part = node.emit(relax.op.strided_slice(around, [1], [first], [first + shape[1]]))
        total = part if total is None else node.emit(relax.op.add(total, part))
    share = node.emit(relax.op.multiply(total, scalar(node, node.attribute("alpha", 1e-4) / size)))
    base = node.emit(relax.op.add(share, scalar(node, node.attribute("bias", 1.0))))
    return relax.op.divide(data, node.emit(relax.op.power(base, scalar(node, node.attribute("beta", 0.75)))))


NORMALIZATIONS: dict[str, OnnxConverter] = {
    "BatchNormalization": batch,
    "GroupNormalization": group,
    "InstanceNormalization": instance,
    "LRN": across_channels,
    "LayerNormalization": layer,
    "MeanVarianceNormalization": mean_variance,
}
