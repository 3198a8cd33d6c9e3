"""Lowering of what else images go through, channels last: pooling, means, borders, concatenation, permutations.

Example: `x.mean([2, 3])` of an image is a mean over [N, H, W, C]'s second and third axis.
"""

from __future__ import annotations

from typing import Any

from tvm import relax

from ovenbird.backends.cuda.lowering.conv2d import FLOAT_TYPES
from ovenbird.backends.cuda.lowering.values import TO_IMAGE, TO_PLAIN, Value
from ovenbird.backends.cuda.lowering.walk import GpuLowering, Lowered, handles
from ovenbird.lowering.walk import static_shape


def image_of(lowering: GpuLowering, value: Value) -> relax.Expr | None:
    """A float image in the channels-last form; None for anything else."""
    if len(value.shape) != 4 or value.dtype not in FLOAT_TYPES:
        return None
    return lowering.values.image(value)


@handles("relax.nn.max_pool2d", "relax.nn.avg_pool2d")
def lower_pool2d(lowering: GpuLowering, call: relax.Call) -> Lowered | None:
    """Max or average pooling."""
    attrs, shape = call.attrs, static_shape(call)
    image = image_of(lowering, lowering.value(call.args[0]))
    if image is None or attrs.layout != "NCHW" or shape is None:
        return None
    average = call.op.name == "relax.nn.avg_pool2d"
    operator = relax.op.nn.avg_pool2d if average else relax.op.nn.max_pool2d
    pooled = operator(
        lowering.values.cast(image, "float32") if average else image,
        tuple(attrs.pool_size),
        tuple(attrs.strides),
        tuple(attrs.padding),
        tuple(attrs.dilation),
        bool(attrs.ceil_mode),
        bool(attrs.count_include_pad),
        "NHWC",
    )
    return Value(shape, lowering.precision, image=lowering.values.narrowed(lowering.builder.emit(pooled)))


@handles("relax.nn.adaptive_avg_pool2d")
def lower_adaptive_avg_pool2d(lowering: GpuLowering, call: relax.Call) -> Lowered | None:
    """A mean over parts of an image; of one pixel each, it is the image itself."""
    shape, data = static_shape(call), lowering.value(call.args[0])
    if shape is None or call.attrs.layout != "NCHW":
        return None
    if shape == data.shape:
        return data
    image = image_of(lowering, data)
    if image is None:
        return None
    wide = lowering.values.cast(image, "float32")
    pooled = lowering.builder.emit(relax.op.nn.adaptive_avg_pool2d(wide, shape[2:], "NHWC"))
    return Value(shape, lowering.precision, image=lowering.values.narrowed(pooled))


@handles("relax.mean")
def lower_mean(lowering: GpuLowering, call: relax.Call) -> Lowered | None:
    """A mean over height and width, summed in float32."""
    data, shape = lowering.value(call.args[0]), static_shape(call)
    if shape is None or call.attrs.axis is None or not data.has_image:
        return None
    if sorted(int(axis) % 4 for axis in call.attrs.axis) != [2, 3]:
        return None
    wide = lowering.values.cast(lowering.values.image(data), "float32")
    mean = lowering.builder.emit(relax.op.mean(wide, [1, 2], keepdims=bool(call.attrs.keepdims)))
    result = lowering.values.narrowed(mean)
    return Value(shape, lowering.precision, **{"image" if len(shape) == 4 else "plain": result})


@handles("relax.nn.pad")
def lower_pad(lowering: GpuLowering, call: relax.Call) -> Lowered | None:
    """A border of zeros around an image: left for the convolution behind it to take in."""
    data, attrs, shape = lowering.value(call.args[0]), call.attrs, static_shape(call)
    widths = [int(width) for width in attrs.pad_width]
    if not any(widths):
        return data  # TVM would write a function whose input is its output
    zeros = attrs.pad_mode == "constant" and float(attrs.pad_value) == 0.0
    if len(data.shape) != 4 or data.dtype not in FLOAT_TYPES or shape is None or not zeros:
        return None
    if any(widths[:4]) or min(widths) < 0 or data.constant is not None:
        return None
    border = (widths[4], widths[6], widths[5], widths[7])
    top, left, bottom, right = (inner + outer for inner, outer in zip(data.border, border, strict=True))
    return Value(shape, data.dtype, unpadded=data.unpadded or data, border=(top, left, bottom, right))


@handles("relax.concat")
def lower_concat(lowering: GpuLowering, call: relax.Call) -> Lowered | None:
    """Concatenation of images along any axis."""
    values, shape = parts_of(lowering, call.args[0]), static_shape(call)
    if shape is None or len(shape) != 4 or call.attrs.axis is None or not any(value.has_image for value in values):
        return None
    images = [image_of(lowering, value) for value in values]
    if any(image is None for image in images):
        return None
    axis = TO_IMAGE.index(int(call.attrs.axis) % 4)
    return Value(shape, lowering.precision, image=lowering.builder.emit(relax.op.concat(images, axis)))


def parts_of(lowering: GpuLowering, tuple_expr: Any) -> list[Value]:
    """The values of a tuple."""
    known = lowering.known.get(tuple_expr) if isinstance(tuple_expr, relax.Var) else None
    return list(known) if isinstance(known, tuple) else [lowering.value(field) for field in tuple_expr.fields]


@handles("relax.permute_dims")
def lower_permute_dims(lowering: GpuLowering, call: relax.Call) -> Lowered | None:
    """A permutation between the two forms of an image, which costs nothing where the other form is there."""
    data, shape, axes = lowering.value(call.args[0]), static_shape(call), call.attrs.axes
    if shape is None or axes is None or data.dtype not in FLOAT_TYPES:
        return None
    order = tuple(int(axis) % len(shape) for axis in axes)
    if order == TO_IMAGE and data.has_image:
        return Value(shape, data.dtype, plain=lowering.values.image(data))
    if order == TO_PLAIN and data.constant is None and not data.has_image:
        return Value(shape, data.dtype, image=lowering.values.plain(data))
    if data.constant is not None:
        return None
    return Value(
        shape, data.dtype, plain=lowering.builder.emit(relax.op.permute_dims(lowering.values.plain(data), order))
    )


@handles("relax.reshape", "relax.squeeze", "relax.expand_dims", "relax.flatten")
def lower_reshape(lowering: GpuLowering, call: relax.Call) -> Lowered | None:
    """Another shape of the same elements: a view."""
    data, shape = lowering.value(call.args[0]), static_shape(call)
    if shape is None or data.constant is not None:
        return None
    plain = lowering.values.plain(data)
    if static_shape(plain) == shape:
        return Value(shape, data.dtype, plain=plain)
    return Value(shape, data.dtype, plain=lowering.builder.emit(relax.op.reshape(plain, shape)))


@handles("relax.broadcast_to")
def lower_broadcast_to(lowering: GpuLowering, call: relax.Call) -> Lowered | None:
    """A broadcast that changes nothing is gone."""
    data, shape = lowering.value(call.args[0]), static_shape(call)
    return data if shape == data.shape else None
