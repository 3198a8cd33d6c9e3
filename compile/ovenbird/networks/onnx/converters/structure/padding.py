"""Padding and cropping: `Pad` in all its modes, and the sides that layers pad (`auto_pad`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tvm import relax

from ovenbird.networks.onnx.node import Node, OnnxConverter
from ovenbird_runtime.tensors.arrays import Array


def pad(node: Node) -> relax.Expr:
    """`Pad`: what is negative is cut off; "wrap" goes on at the other side."""
    own = node.shape(0)
    rank = len(own)
    given = node.integers(1, "pads") if node.version >= 11 else list(node.attribute("pads"))
    axes = [axis % rank for axis in node.integers(3, "axes")] if node.has(3) else list(range(rank))
    before, after = [0] * rank, [0] * rank
    for index, axis in enumerate(axes):
        before[axis], after[axis] = given[index], given[index + len(axes)]
    mode = node.attribute("mode", "constant")
    if mode == "constant":
        value = node.inputs[2] if node.has(2) else np.array(node.attribute("value", 0), node.dtype(0))
        if not isinstance(value, np.ndarray):
            raise node.refuse("its constant_value is computed from the network's inputs; make it a constant")
        return padded(node, node.tensor(0), before, after, value.reshape(-1)[0].item())
    if mode not in ("reflect", "edge", "wrap"):
        raise node.refuse(f"mode {mode!r}; known are constant, reflect, edge, wrap")
    data = node.tensor(0)
    for axis, (first, last) in enumerate(zip(before, after, strict=True)):
        if first or last:
            data = node.take(data, sources(node, own[axis], first, last, mode), axis)
    return data


def sources(node: Node, extent: int, before: int, after: int, mode: str) -> Array:
    """Return which element of an axis each element of the padded axis is."""
    kept = np.arange(max(0, -before), extent - max(0, -after))
    if not kept.size:
        raise node.refuse(f"it cuts all of {extent} elements off")
    sides = (max(before, 0), max(after, 0))
    found: Array = np.pad(kept, sides, mode=mode).astype(np.int64)  # type: ignore[call-overload]
    return found


def padded(node: Node, data: relax.Expr, before: Sequence[int], after: Sequence[int], value: float = 0) -> relax.Expr:
    """Return a tensor with a constant around it; negative sides are cut off."""
    own = [int(extent) for extent in data.ty.shape.values]
    if any(side < 0 for side in (*before, *after)):
        begins = [max(0, -side) for side in before]
        ends = [extent - max(0, -side) for extent, side in zip(own, after, strict=True)]
        if any(begin >= end for begin, end in zip(begins, ends, strict=True)):
            raise node.refuse(f"it cuts all elements off: {list(before)} and {list(after)} of {own}")
        data = node.emit(relax.op.strided_slice(data, list(range(len(own))), begins, ends))
    widths = [max(0, side) for pair in zip(before, after, strict=True) for side in pair]
    if not any(widths):
        return data
    return node.emit(relax.op.nn.pad(data, widths, "constant", value))


def sides(
    node: Node, extents: Sequence[int], kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> tuple[list[int], list[int]]:
    """Return how much a layer pads before and after each axis, by its `pads` or its `auto_pad`."""
    auto = node.attribute("auto_pad", "NOTSET")
    count = len(kernel)
    if auto == "VALID":
        return [0] * count, [0] * count
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        before, after = [], []
        for extent, window, stride, dilation in zip(extents, kernel, strides, dilations, strict=True):
            reach = (window - 1) * dilation + 1
            total = max((-(-extent // stride) - 1) * stride + reach - extent, 0)
            small, large = total // 2, total - total // 2
            before.append(large if auto == "SAME_LOWER" else small)
            after.append(small if auto == "SAME_LOWER" else large)
        return before, after
    pads = list(node.attribute("pads") or [0] * 2 * count)
    return pads[:count], pads[count:]


PADDING: dict[str, OnnxConverter] = {
    "Pad": pad,
}
