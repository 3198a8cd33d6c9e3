"""Lowering of images of levels made larger or smaller.

Example: bilinear from uint8 [1, 256, 14, 14] to [1, 256, 28, 28] reads levels, and has no image of floats made of them.
"""

from __future__ import annotations

from tvm import relax

from ovenbird.backends.cpu.lowering.context import CpuLowering
from ovenbird.backends.cpu.lowering.image_ops import resize_options
from ovenbird.backends.cpu.lowering.quantized.levels import move_levels
from ovenbird.lowering.value import Value
from ovenbird.lowering.walk import Lowered
from ovenbird.operators.quantized.resize2d import resize2d
from ovenbird.passes.shapes import static_shape

CROPS = "tf_crop_and_resize"
"""The way to count coordinates that may leave the image, where pixels are a number that is no level."""


def lower_levels_resize2d(lowering: CpuLowering, call: relax.Call) -> Lowered | None:
    """Lower a resize of levels: the nearest pixels are moved, of others floats are computed."""
    data, attrs, shape = lowering.value(call.args[0]), call.attrs, static_shape(call)
    if data.levels is None or data.constant is not None or len(data.shape) != 4 or shape is None:
        return None
    if attrs.layout != "NCHW" or attrs.coordinate_transformation_mode == CROPS:
        return None
    if attrs.method == "nearest_neighbor":
        return move_levels(lowering, call)
    if attrs.method != "linear" or not data.has_image:
        return None
    levels = data.levels
    options = {"scale": float(levels.scale), "zero": levels.zero, **resize_options(lowering, attrs, shape)}
    blocked = lowering.emit_te("resize2d", resize2d, lowering.form.image(levels.value), **options)
    return Value(shape, "float32", image=blocked)
