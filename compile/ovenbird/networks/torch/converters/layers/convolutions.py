"""Transposed convolutions that TVM's importer does not know: of volumes, and with an output padding beyond the stride.

A transposed convolution is a convolution of the input with zeros between its elements, by the flipped weights.
"""

from __future__ import annotations

from typing import Any

from ovenbird.networks.torch.converters.converter import Arguments


def convolution(node: Any, importer: Any) -> Any:
    """Convert `convolution`."""
    given = Arguments.of(node, importer)
    if not given["transposed"]:
        return importer._convolution(node)
    sides = len(given.shape) - 2
    stride, extra = _each(given["stride"], sides), _each(given["output_padding"], sides)
    if sides < 3 and all(more < step for more, step in zip(extra, stride, strict=True)):
        return importer._convolution(node)
    return _transposed(given, sides, stride, extra)


def _transposed(given: Arguments, sides: int, stride: list[int], extra: list[int]) -> Any:
    from tvm import relax

    op = relax.op
    groups, dilation = int(given["groups"]), _each(given["dilation"], sides)
    kernel = given.shape_of("weight")[2:]
    spread = _spread(given, stride)
    widths = [0, 0, 0, 0]
    for size, dilated, padding, step, more in zip(
        kernel, dilation, _each(given["padding"], sides), stride, extra, strict=True
    ):
        reach = dilated * (size - 1) - padding
        widths += [reach, reach + more - (step - 1)]
    cut = [(max(0, -before), max(0, -after)) for before, after in zip(widths[::2], widths[1::2], strict=True)]
    if any(width > 0 for width in widths):
        spread = given.emit(op.nn.pad(spread, [max(0, width) for width in widths], "constant", 0))
    extents = [int(extent) for extent in spread.ty.shape]
    axes = [axis for axis, pair in enumerate(cut) if any(pair)]
    if axes:
        ends = [extents[axis] - cut[axis][1] for axis in axes]
        spread = given.emit(op.strided_slice(spread, axes, [cut[axis][0] for axis in axes], ends))
    inputs, outputs, *_ = given.shape_of("weight")
    weight = given.emit(op.reshape(given["weight"], [groups, inputs // groups, outputs, *kernel]))
    weight = given.emit(op.permute_dims(weight, [0, 2, 1, *range(3, 3 + sides)]))
    weight = given.emit(op.reshape(weight, [groups * outputs, inputs // groups, *kernel]))
    for axis in range(2, 2 + sides):
        weight = given.emit(op.flip(weight, axis))
    convolve = {1: op.nn.conv1d, 2: op.nn.conv2d, 3: op.nn.conv3d}[sides]
    result = given.emit(convolve(spread, weight, dilation=dilation, groups=groups))
    if given["bias"] is None:
        return result
    return given.emit(op.add(result, given.emit(op.reshape(given["bias"], [1, -1, *[1] * sides]))))


def _spread(given: Arguments, stride: list[int]) -> Any:
    """Return the input with `stride - 1` zeros behind each element."""
    from tvm import relax

    shape = given.shape_of("input")
    apart, widths = shape[:2], [0, 0, 0, 0]
    for extent, step in zip(shape[2:], stride, strict=True):
        apart = [*apart, extent, 1]
        widths += [0, 0, 0, step - 1]
    data = given.emit(relax.op.reshape(given["input"], apart))
    data = given.emit(relax.op.nn.pad(data, widths, "constant", 0))
    wide = [extent * step for extent, step in zip(shape[2:], stride, strict=True)]
    return given.emit(relax.op.reshape(data, [*shape[:2], *wide]))


def _each(value: Any, sides: int) -> list[int]:
    found = [int(one) for one in (value if isinstance(value, (list, tuple)) else [value])]
    return found * sides if len(found) == 1 else found
