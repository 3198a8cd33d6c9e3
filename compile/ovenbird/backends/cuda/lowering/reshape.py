"""Lowering of reshapes and permutations for a GPU: views, or a step between the two forms of an image.

Example: `x.permute(0, 2, 3, 1)` of an image that is channels last already costs nothing.
"""

from __future__ import annotations

from tvm import relax

from ovenbird.backends.cuda.lowering.context import CudaLowering
from ovenbird.lowering.channels_last import TO_IMAGE, TO_PLAIN
from ovenbird.lowering.value import FLOATS, Value
from ovenbird.lowering.walk import Lowered
from ovenbird.passes.shapes import static_shape


def lower_permute_dims(lowering: CudaLowering, call: relax.Call) -> Lowered | None:
    """Lower a permutation between the two forms of an image, which costs nothing where the other form is there."""
    data, shape, axes = lowering.value(call.args[0]), static_shape(call), call.attrs.axes
    if shape is None or axes is None or data.dtype not in FLOATS:
        return None
    order = tuple(int(axis) % len(shape) for axis in axes)
    if order == TO_IMAGE and data.has_image:
        return Value(shape, data.dtype, plain=lowering.form.image(data))
    if order == TO_PLAIN and data.constant is None and not data.has_image:
        return Value(shape, data.dtype, image=lowering.form.plain(data))
    if data.constant is not None:
        return None
    return Value(
        shape, data.dtype, plain=lowering.builder.emit(relax.op.permute_dims(lowering.form.plain(data), order))
    )


def lower_reshape(lowering: CudaLowering, call: relax.Call) -> Lowered | None:
    """Lower another shape of the same elements: a view."""
    data, shape = lowering.value(call.args[0]), static_shape(call)
    if shape is None or data.constant is not None:
        return None
    plain = lowering.form.plain(data)
    if static_shape(plain) == shape:
        return Value(shape, data.dtype, plain=plain)
    return Value(shape, data.dtype, plain=lowering.builder.emit(relax.op.reshape(plain, shape)))


def lower_broadcast_to(lowering: CudaLowering, call: relax.Call) -> Lowered | None:
    """Drop a broadcast that changes nothing."""
    data, shape = lowering.value(call.args[0]), static_shape(call)
    return data if shape == data.shape else None
