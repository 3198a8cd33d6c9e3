"""Lowering of pooling and means for a GPU, channels last; averages are summed in float32.

Example: `x.mean([2, 3])` of an image is a mean over [N, H, W, C]'s second and third axis.
"""

from __future__ import annotations

from tvm import relax

from ovenbird.backends.cuda.lowering.context import CudaLowering
from ovenbird.backends.cuda.lowering.image_ops import image_of
from ovenbird.lowering.value import Value
from ovenbird.lowering.walk import Lowered
from ovenbird.passes.shapes import static_shape


def lower_pool2d(lowering: CudaLowering, call: relax.Call) -> Lowered | None:
    """Lower max or average pooling."""
    attrs, shape = call.attrs, static_shape(call)
    image = image_of(lowering, lowering.value(call.args[0]))
    if image is None or attrs.layout != "NCHW" or shape is None:
        return None
    average = call.op.name == "relax.nn.avg_pool2d"
    operator = relax.op.nn.avg_pool2d if average else relax.op.nn.max_pool2d
    pooled = operator(
        lowering.form.cast(image, "float32") if average else image,
        tuple(attrs.pool_size),
        tuple(attrs.strides),
        tuple(attrs.padding),
        tuple(attrs.dilation),
        bool(attrs.ceil_mode),
        bool(attrs.count_include_pad),
        "NHWC",
    )
    return Value(shape, lowering.precision, image=lowering.form.narrowed(lowering.builder.emit(pooled)))


def lower_adaptive_avg_pool2d(lowering: CudaLowering, call: relax.Call) -> Lowered | None:
    """Lower a mean over parts of an image; of one pixel each, it is the image itself."""
    shape, data = static_shape(call), lowering.value(call.args[0])
    if shape is None or call.attrs.layout != "NCHW":
        return None
    if shape == data.shape:
        return data
    image = image_of(lowering, data)
    if image is None:
        return None
    wide = lowering.form.cast(image, "float32")
    pooled = lowering.builder.emit(relax.op.nn.adaptive_avg_pool2d(wide, shape[2:], "NHWC"))
    return Value(shape, lowering.precision, image=lowering.form.narrowed(pooled))


def lower_mean(lowering: CudaLowering, call: relax.Call) -> Lowered | None:
    """Lower a mean over height and width, summed in float32."""
    data, shape = lowering.value(call.args[0]), static_shape(call)
    if shape is None or call.attrs.axis is None or not data.has_image:
        return None
    if sorted(int(axis) % 4 for axis in call.attrs.axis) != [2, 3]:
        return None
    wide = lowering.form.cast(lowering.form.image(data), "float32")
    mean = lowering.builder.emit(relax.op.mean(wide, [1, 2], keepdims=bool(call.attrs.keepdims)))
    result = lowering.form.narrowed(mean)
    return Value(shape, lowering.precision, **{"image" if len(shape) == 4 else "plain": result})
