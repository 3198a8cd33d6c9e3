"""Lowering of what moves whole blocks of channels or pixels: concatenation and borders.

Example: `F.pad(x, (1, 2, 1, 2))` before a convolution becomes part of the convolution's padding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tvm import relax, topi

from ovenbird.backends.cpu.lowering.context import CpuLowering
from ovenbird.backends.cpu.lowering.movements.reshape import reshaped
from ovenbird.lowering.operators.own import emit_kernel
from ovenbird.lowering.value import Value
from ovenbird.lowering.walk import INJECTIVE, Lowered
from ovenbird.operators import layout
from ovenbird.operators.movements.concatenation import Concatenation
from ovenbird.operators.movements.repetition import Repetition
from ovenbird.operators.writing.own import PLAIN, Spec
from ovenbird.passes.fusion.keep_unschedulable_apart import OPAQUE
from ovenbird.passes.shapes import static_shape, static_shape_of

PARTS_AT_ONCE = 8
"""A concatenation of more parts is made of others: its code has a condition, or a loop, for each."""


def lower_concat(lowering: CpuLowering, call: relax.Call) -> Lowered | None:
    """Lower concatenation: of channels in blocks, where no padding lanes would end up in the middle, else of rows."""
    values = lowering.parts(call.args[0])
    shape = static_shape(call)
    if shape is None or call.attrs.axis is None:
        return None
    axis = int(call.attrs.axis) % len(shape)
    aligned = all(value.shape[1] % lowering.block == 0 for value in values[:-1]) if len(shape) == 4 else False
    images = all(lowering.form.is_image(value) for value in values)
    if axis != 1 or not aligned or not images or not any(value.has_image for value in values):
        return join_rows(lowering, values, shape, axis)
    blocked = gathered(lowering, [lowering.form.image(value) for value in values])
    return Value(shape, values[0].dtype, image=joined(lowering, blocked, INJECTIVE))


def joined(lowering: CpuLowering, images: Sequence[relax.Expr], pattern: int) -> relax.Var:
    """Concatenate blocked images along their channels."""
    attributes = {"op_pattern": pattern}
    return lowering.builder.emit_te(
        layout.concatenate, *images, primfunc_name_hint="concatenate", primfunc_attrs=attributes
    )


def gathered(lowering: CpuLowering, images: Sequence[relax.Expr]) -> Sequence[relax.Expr]:
    """Return the images with whole groups of `PARTS_AT_ONCE` joined to one, each group but once in the network.

    Each layer of a dense block joins all that came before it: written out, the code grows with the square of the
    layers, and the time that it takes to be made still faster.
    """
    while len(images) > PARTS_AT_ONCE:
        rest = len(images) % PARTS_AT_ONCE
        whole = len(images) - rest
        groups = [tuple(images[at : at + PARTS_AT_ONCE]) for at in range(0, whole, PARTS_AT_ONCE)]
        for group in groups:
            if group not in lowering.joined:
                lowering.joined[group] = joined(lowering, group, OPAQUE)
        images = [*(lowering.joined[group] for group in groups), *images[whole:]]
    return images


def join_rows(lowering: CpuLowering, values: list[Value], shape: tuple[int, ...], axis: int) -> Value | None:
    """Concatenate plain tensors row by row: a row is everything from the axis on."""
    if len(values) < 2 or not all(math.prod(value.shape) for value in values):
        return None
    specs = [Spec(value.shape, value.dtype) for value in values]
    flat = [
        reshaped(lowering, lowering.form.plain(value), (spec.size,)) for value, spec in zip(values, specs, strict=True)
    ]
    (result,) = emit_kernel(lowering, Concatenation(axis), specs, PLAIN, flat)
    return Value(shape, values[0].dtype, plain=reshaped(lowering, result, shape))


def lower_pad(lowering: CpuLowering, call: relax.Call) -> Lowered | None:
    """Lower a border of zeros around an image: left for the convolution behind it to take in."""
    if not any(int(width) for width in call.attrs.pad_width):
        return lowering.value(call.args[0])  # TVM would write a function whose input is its output
    data, attrs, shape = lowering.value(call.args[0]), call.attrs, static_shape(call)
    widths = [int(width) for width in attrs.pad_width]
    zeros = attrs.pad_mode == "constant" and float(attrs.pad_value) == 0.0
    if not lowering.form.is_image(data) or shape is None or not zeros or any(widths[:4]) or min(widths) < 0:
        return None
    border = (widths[4], widths[6], widths[5], widths[7])
    top, left, bottom, right = (inner + outer for inner, outer in zip(data.padding, border, strict=True))
    return Value(shape, data.dtype, unpadded=data.unpadded or data, padding=(top, left, bottom, right))


def lower_split(lowering: CpuLowering, call: relax.Call) -> Lowered | None:
    """Lower a split of channels into parts of whole blocks."""
    data, attrs = lowering.value(call.args[0]), call.attrs
    if not lowering.form.is_image(data) or not data.has_image or int(attrs.axis) % 4 != 1:
        return None
    shapes = [static_shape_of(field) for field in call.ty.fields]
    parts = [shape[1] for shape in shapes if shape is not None]
    if len(parts) != len(shapes) or any(part % lowering.block for part in parts[:-1]):
        return None
    blocked, values, start = lowering.form.image(data), [], 0
    for shape, part in zip(shapes, parts, strict=True):
        end = start + layout.blocks(part, lowering.block)
        piece = lowering.builder.emit(relax.op.strided_slice(blocked, axes=[1], begin=[start], end=[end]))
        values.append(Value(shape or (), data.dtype, image=piece))
        start = end
    return tuple(values)


def lower_resize2d(lowering: CpuLowering, call: relax.Call) -> Lowered | None:
    """Lower an image made larger or smaller, every channel alike; one of few channels is better left as it is."""
    data, attrs, shape = lowering.value(call.args[0]), call.attrs, static_shape(call)
    if not lowering.form.is_image(data) or attrs.layout != "NCHW" or shape is None or data.constant is not None:
        return None
    if not data.has_image:
        times = (shape[2] // data.shape[2], shape[3] // data.shape[3])
        if is_repetition(attrs, times, data.shape, shape):
            spec = Spec(data.shape, data.dtype)
            flat = reshaped(lowering, lowering.form.plain(data), (spec.size,))
            (result,) = emit_kernel(lowering, Repetition(*times), [spec], PLAIN, [flat])
            return Value(shape, data.dtype, plain=reshaped(lowering, result, shape))
        if 2 * shape[1] < lowering.block:
            return None
    # What packs or unpacks stays apart: it would compute each place for each channel.
    options = resize_options(lowering, attrs, shape)
    blocked = lowering.emit_te("resize2d", topi.image.resize2d, lowering.form.image(data), **options)
    return Value(shape, data.dtype, image=blocked)


def resize_options(lowering: CpuLowering, attrs: Any, shape: Sequence[int]) -> dict[str, Any]:
    """Return the options of `topi.image.resize2d` for a call whose result has this shape, for an image in blocks."""
    return {
        "roi": [float(value) for value in attrs.roi],
        "size": list(shape[2:]),
        "layout": f"NCHW{lowering.block}c",
        "method": attrs.method,
        "coordinate_transformation_mode": attrs.coordinate_transformation_mode,
        "rounding_method": attrs.rounding_method,
        "bicubic_alpha": attrs.cubic_alpha,
        "bicubic_exclude": attrs.cubic_exclude,
        "extrapolation_value": attrs.extrapolation_value,
    }


def is_repetition(attrs: Any, times: tuple[int, int], before: Sequence[int], after: Sequence[int]) -> bool:
    """Return whether each pixel is taken a whole number of times, as a nearest one is."""
    whole = [size * factor for size, factor in zip(before[2:], times, strict=True)] == list(after[2:])
    asked = (attrs.method, attrs.coordinate_transformation_mode, attrs.rounding_method)
    return whole and asked == ("nearest_neighbor", "asymmetric", "floor")
