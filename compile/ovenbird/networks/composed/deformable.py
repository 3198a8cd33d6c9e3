"""Deformable convolutions: the samples of all taps as a matrix, times the weights.

result = deform_conv2d(emit, options, image, offsets, mask, weight, bias)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import relax

from ovenbird.operators.vision.deformable import DeformableColumns
from ovenbird.operators.writing.own import own_call, spec_of


def deform_conv2d(
    emit: Callable[[Any], Any],
    options: DeformableColumns,
    image: Any,
    offsets: Any,
    mask: Any,
    weight: Any,
    bias: Any,
) -> Any:
    """Return the convolution [N, O, H, W]; `mask` and `bias` may be None. The weight [O, C / groups, KH, KW] says how
    many groups of channels there are.
    """
    op = relax.op
    count, channels = spec_of(image).shape[:2]
    rows, columns = spec_of(offsets).shape[2:]
    outputs, depth, *window = spec_of(weight).shape
    groups, taps = channels // depth, window[0] * window[1]
    inputs = (image, offsets) if mask is None else (image, offsets, mask)
    samples = emit(own_call(options, *inputs))
    places = count * rows * columns
    # [O, C / g, KH, KW] -> [g, taps * C / g, O / g]: taps outermost, as the samples have them.
    turned = emit(op.permute_dims(emit(op.reshape(weight, (groups, outputs // groups, depth, taps))), [0, 3, 2, 1]))
    matrices = emit(op.reshape(turned, (groups, taps * depth, outputs // groups)))
    if groups == 1:
        product = emit(op.matmul(samples, emit(op.reshape(matrices, (taps * depth, outputs)))))
    else:
        split = emit(op.reshape(samples, (places, taps, groups, depth)))
        grouped = emit(op.reshape(emit(op.permute_dims(split, [2, 0, 1, 3])), (groups, places, taps * depth)))
        joined = emit(op.permute_dims(emit(op.matmul(grouped, matrices)), [1, 0, 2]))
        product = emit(op.reshape(joined, (places, outputs)))
    if bias is not None:
        product = emit(op.add(product, bias))
    images = emit(op.reshape(product, (count, rows, columns, outputs)))
    return emit(op.permute_dims(images, [0, 3, 1, 2]))
