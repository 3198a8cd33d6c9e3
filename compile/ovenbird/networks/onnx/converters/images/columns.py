"""`Col2Im`: columns of windows added up to the image that they were taken from."""

from __future__ import annotations

import itertools
import math

import numpy as np
from tvm import relax

from ovenbird.networks.onnx.node import Node, OnnxConverter, literal


def image_of_columns(node: Node) -> relax.Expr:
    """`Col2Im`: each pixel is the sum of the columns' elements that lie on it."""
    image, block = node.integers(1, "image_shape"), node.integers(2, "block_shape")
    count = len(image)
    strides = list(node.attribute("strides") or [1] * count)
    dilations = list(node.attribute("dilations") or [1] * count)
    pads = list(node.attribute("pads") or [0] * 2 * count)
    batch, rows, windows = node.shape(0)
    taps = math.prod(block)
    if rows % taps:
        raise node.refuse(f"{rows} rows are no whole number of blocks of {taps} elements")
    along = [
        (extent + pads[axis] + pads[axis + count] - (block[axis] - 1) * dilations[axis] - 1) // strides[axis] + 1
        for axis, extent in enumerate(image)
    ]
    if math.prod(along) != windows:
        raise node.refuse(f"the image has {math.prod(along)} windows, the columns {windows}")
    found: list[list[int]] = [[] for _ in range(math.prod(image))]
    for tap, offsets in enumerate(itertools.product(*map(range, block))):
        for window, places in enumerate(itertools.product(*map(range, along))):
            pixel = [
                place * stride + offset * dilation - first
                for place, stride, offset, dilation, first in zip(
                    places, strides, offsets, dilations, pads, strict=False
                )
            ]
            if all(0 <= at < extent for at, extent in zip(pixel, image, strict=True)):
                found[int(np.ravel_multi_index(pixel, image))].append(tap * windows + window)
    nowhere = taps * windows  # a zero behind the last element
    deepest = max(map(len, found))
    table = np.array([places + [nowhere] * (deepest - len(places)) for places in found], np.int64)
    flat = node.emit(relax.op.reshape(node.tensor(0), [batch, rows // taps, nowhere]))
    zero = literal(np.zeros((batch, rows // taps, 1), node.dtype(0)))
    padded = node.emit(relax.op.concat([flat, zero], 2))
    gathered = node.take(padded, table, 2)
    return relax.op.reshape(node.emit(relax.op.sum(gathered, [3])), [batch, rows // taps, *image])


COLUMNS: dict[str, OnnxConverter] = {
    "Col2Im": image_of_columns,
}
