"""Fourier transforms of real and complex signals, a number a pair, as products with the transform's matrix.

Signals are short here, sides of images and windows of sound: a product with all of them is as quick as what divides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tvm import relax

from ovenbird.limits import MAX_FOLDED_ELEMENTS
from ovenbird.networks.onnx.node import Node, OnnxConverter, literal
from ovenbird_runtime.tensors.arrays import Array

FIRST_WITH_AXIS_INPUT = 20
"""The version of `DFT` whose axis is an input."""


def fourier(node: Node) -> relax.Expr:
    """`DFT(x, length, axis)`: along an axis of x, whose last one holds real parts, or real and imaginary ones."""
    shape = node.shape(0)
    if node.version >= FIRST_WITH_AXIS_INPUT:
        axis = node.integers(2, "axis")[0] if node.has(2) else -2
    else:
        axis = int(node.attribute("axis", 1))
    axis %= len(shape)
    inverse, half = bool(node.attribute("inverse", 0)), bool(node.attribute("onesided", 0))
    length = 2 * (shape[axis] - 1) if inverse and half else shape[axis]
    if node.has(1):
        length = node.integers(1, "length")[0]

    def transform(signal: Array) -> Array:
        if inverse and half:
            return np.fft.irfft(signal, length)[..., None]
        found = (np.fft.ifft if inverse else np.fft.fft)(signal, length)
        return pairs(found[:, : length // 2 + 1] if half else found)

    order = [place for place in range(len(shape) - 1) if place != axis] + [axis, len(shape) - 1]
    moved = node.emit(relax.op.permute_dims(node.tensor(0), order))
    result = transformed(node, moved, [shape[place] for place in order], transform)
    return relax.op.permute_dims(result, [order.index(place) for place in range(len(shape))])


def windowed_fourier(node: Node) -> relax.Expr:
    """`STFT(signal, step, window, length)`: of pieces of the signal, each times the window."""
    batch, samples, parts = node.shape(0)
    step = node.integers(1, "step")[0]
    length = node.integers(3, "length")[0] if node.has(3) else node.shape(2)[0]
    if not 0 < length <= samples or step < 1:
        raise node.refuse(f"pieces of {length} every {step} samples, of a signal of {samples}")
    starts = np.arange(0, samples - length + 1, step)
    half = bool(node.attribute("onesided", 1))

    def transform(signal: Array) -> Array:
        found = np.fft.fft(signal, length)
        return pairs(found[:, : length // 2 + 1] if half else found)

    pieces: Any = node.take(node.tensor(0), starts[:, None] + np.arange(length), 1)
    if node.has(2):
        window = node.emit(relax.op.reshape(node.tensor(2), [length, 1]))
        pieces = node.emit(relax.op.multiply(pieces, window))
    return transformed(node, pieces, [batch, len(starts), length, parts], transform)


def transformed(node: Node, signal: Any, shape: list[int], transform: Callable[[Array], Array]) -> relax.Expr:
    """Return a signal [..., length, parts] through a transform of [rows, length] complex numbers to
    [rows, length, parts], whose matrix is what it makes of each unit.
    """
    *outer, length, parts = shape
    units = np.eye(length)
    rows = transform(np.concatenate([units, 1j * units])[: length * parts])
    elements = rows.size
    if elements > MAX_FOLDED_ELEMENTS:
        raise node.refuse(f"its matrix has {elements} elements, limit {MAX_FOLDED_ELEMENTS}")
    out = rows.shape[1:]
    # a row a unit: real ones first, in the signal they take turns
    matrix = rows.reshape(parts, length, -1).transpose(1, 0, 2).reshape(length * parts, -1)
    flat = node.emit(relax.op.reshape(signal, [*outer, length * parts]))
    # what cancels is to be zero: in float32, sums of hundreds would leave a millionth
    wide = node.emit(relax.op.astype(flat, "float64"))
    found = node.emit(relax.op.matmul(wide, literal(matrix.astype("float64"))))
    return node.emit(relax.op.reshape(relax.op.astype(found, node.dtype(0)), [*outer, *out]))


def pairs(numbers: Array) -> Array:
    """Return complex numbers as pairs."""
    return np.stack([numbers.real, numbers.imag], -1)


SPECTRA: dict[str, OnnxConverter] = {
    "DFT": fourier,
    "STFT": windowed_fourier,
}
