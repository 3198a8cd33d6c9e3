"""Lowering of borders and concatenation for a GPU, channels last.

Example: `F.pad(x, (1, 2, 1, 2))` before a convolution becomes part of the convolution's padding.
"""

from __future__ import annotations

from tvm import relax

from ovenbird.backends.cuda.lowering.context import CudaLowering
from ovenbird.lowering.channels_last import TO_IMAGE
from ovenbird.lowering.value import FLOATS, Value
from ovenbird.lowering.walk import Lowered
from ovenbird.passes.shapes import static_shape


def image_of(lowering: CudaLowering, value: Value) -> relax.Expr | None:
    """Return a float image in the channels-last form; None for anything else."""
    if len(value.shape) != 4 or value.dtype not in FLOATS:
        return None
    return lowering.form.image(value)


def lower_pad(lowering: CudaLowering, call: relax.Call) -> Lowered | None:
    """Lower a border of zeros around an image: left for the convolution behind it to take in."""
    data, attrs, shape = lowering.value(call.args[0]), call.attrs, static_shape(call)
    widths = [int(width) for width in attrs.pad_width]
    if not any(widths):
        return data  # TVM would write a function whose input is its output
    zeros = attrs.pad_mode == "constant" and float(attrs.pad_value) == 0.0
    if len(data.shape) != 4 or data.dtype not in FLOATS or shape is None or not zeros:
        return None
    if any(widths[:4]) or min(widths) < 0 or data.constant is not None:
        return None
    border = (widths[4], widths[6], widths[5], widths[7])
    top, left, bottom, right = (inner + outer for inner, outer in zip(data.padding, border, strict=True))
    return Value(shape, data.dtype, unpadded=data.unpadded or data, padding=(top, left, bottom, right))


def lower_concat(lowering: CudaLowering, call: relax.Call) -> Lowered | None:
    """Lower concatenation of images along any axis."""
    values, shape = lowering.parts(call.args[0]), static_shape(call)
    if shape is None or len(shape) != 4 or call.attrs.axis is None or not any(value.has_image for value in values):
        return None
    images = [image_of(lowering, value) for value in values]
    if any(image is None for image in images):
        return None
    axis = TO_IMAGE.index(int(call.attrs.axis) % 4)
    return Value(shape, lowering.precision, image=lowering.builder.emit(relax.op.concat(images, axis)))
