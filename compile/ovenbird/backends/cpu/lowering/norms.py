"""Lowering of group norms, and of instance norms as groups of one channel, for images and for plain tensors.

Example: `GroupNorm(8, 64)` behind a convolution reads and writes blocks of channels: nothing is unpacked.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from tvm import relax

from ovenbird.backends.cpu.lowering.context import CpuLowering
from ovenbird.backends.cpu.lowering.movements.reshape import reshaped
from ovenbird.lowering.value import Value
from ovenbird.lowering.walk import INJECTIVE, Lowered
from ovenbird.operators import layout
from ovenbird.operators.reductions import norms
from ovenbird.operators.reductions.norms import Parts
from ovenbird.passes.fusion.keep_unschedulable_apart import OPAQUE
from ovenbird.passes.shapes import static_shape


def lower_group_norm(lowering: CpuLowering, call: relax.Call) -> Lowered | None:
    """Lower a group norm over [N, C, ...] in float32 with constant scales."""
    shape = static_shape(call)
    attrs = call.attrs
    if shape is None or int(attrs.channel_axis) != 1 or [int(a) for a in attrs.axes] != list(range(2, len(shape))):
        return None
    return lower_groups(lowering, call, shape, int(attrs.num_groups))


def lower_instance_norm(lowering: CpuLowering, call: relax.Call) -> Lowered | None:
    """Lower an instance norm over [N, C, ...]; torch writes one as that of a single image of N * C channels."""
    shape = static_shape(call)
    attrs = call.attrs
    if shape is None or int(attrs.channel_axis) != 1:
        return None
    axes = [int(axis) for axis in attrs.axes if shape[int(axis)] != 1 or int(axis) > 1]
    if axes != list(range(2, len(shape))):
        return None
    return lower_groups(lowering, call, shape, shape[1])


def lower_groups(lowering: CpuLowering, call: relax.Call, shape: tuple[int, ...], groups: int) -> Lowered | None:
    """Lower the norm of `groups` groups of channels of each image."""
    data, gamma, beta = (lowering.value(arg) for arg in call.args[:3])
    if data.dtype != "float32" or gamma.constant is None or beta.constant is None or math.prod(shape[2:]) == 0:
        return None
    scales = [np.ascontiguousarray(value.constant.reshape(-1)) for value in (gamma, beta) if value.constant is not None]
    epsilon = float(call.attrs.epsilon)
    if lowering.form.is_image(data) and data.has_image:
        return blocked_norm(lowering, data, scales[0], scales[1], groups, epsilon)
    return plain_norm(lowering, data, scales[0], scales[1], groups, epsilon)


def blocked_norm(lowering: CpuLowering, data: Value, gamma: Any, beta: Any, groups: int, epsilon: float) -> Value:
    """Normalize an image in blocks of channels."""
    batch, channels, height, width = data.shape
    block, count = lowering.block, layout.blocks(channels, lowering.block)
    image = lowering.form.image(data)
    parts = Parts.of(batch * count, height * width * block, block)
    sums, size = parts.lanes // block, channels // groups

    def place(group: Any, part: Any) -> tuple[Any, Any]:
        channel = group % groups * size + part // (parts.pieces * sums)
        piece, chain = part // sums % parts.pieces, part % sums
        row = (group // groups * count + channel // block) * parts.pieces + piece
        return row, chain * block + channel % block

    mean, factor = group_of(lowering, image, parts, (batch * groups, size * parts.pieces * sums), epsilon, place)
    spread = emit(
        lowering, norms.spread_blocked, mean, factor, relax.const(gamma), batch=batch, channels=channels, block=block
    )
    shift = relax.const(layout.pack_channels(beta.reshape(1, -1, 1, 1), block))
    normalized = emit(lowering, norms.normalize_blocked, image, *spread, shift, pattern=INJECTIVE)
    return Value(data.shape, data.dtype, image=normalized)


def plain_norm(lowering: CpuLowering, data: Value, gamma: Any, beta: Any, groups: int, epsilon: float) -> Value:
    """Normalize a tensor [N, C, ...] as the network wrote it: what a group covers lies side by side."""
    batch, channels, *rest = data.shape
    length = math.prod(rest)
    plain = lowering.form.plain(data)
    rows, columns = batch * groups, channels // groups * length
    parts = Parts.of(rows, columns, lowering.block)

    def place(group: Any, part: Any) -> tuple[Any, Any]:
        return group * parts.pieces + part // parts.lanes, part % parts.lanes

    mean, factor = group_of(lowering, plain, parts, (rows, parts.pieces * parts.lanes), epsilon, place)
    flat = reshaped(lowering, plain, (batch * channels, length))
    scales = (relax.const(gamma), relax.const(beta))
    normalized = emit(lowering, norms.normalize_plain, flat, mean, factor, *scales, pattern=INJECTIVE)
    return Value(data.shape, data.dtype, plain=reshaped(lowering, normalized, data.shape))


def group_of(
    lowering: CpuLowering,
    data: relax.Expr,
    parts: Parts,
    groups: tuple[int, int],
    epsilon: float,
    place: norms.PartPlace,
) -> list[relax.Expr]:
    """Emit the moments of groups: (how many, parts of each)."""
    rows = reshaped(lowering, data, (parts.rows, parts.pieces * parts.steps * parts.lanes))
    moments = emit(lowering, norms.part_moments, rows, parts=parts)
    many, count = groups
    result: list[relax.Expr] = emit(
        lowering, norms.group_moments, moments, groups=many, count=count, steps=parts.steps, epsilon=epsilon,
        place=place,
    )  # fmt: skip
    return result


def emit(lowering: CpuLowering, function: Any, *tensors: relax.Expr, pattern: int = OPAQUE, **options: Any) -> Any:
    """Emit a function of `operators.reductions.norms`; one of several tensors gives a list."""
    result = lowering.builder.emit_te(
        lambda *given: function(*given, **options),
        *tensors,
        primfunc_name_hint=function.__name__,
        primfunc_attrs={"op_pattern": pattern},
    )
    if not isinstance(result.ty, relax.TupleType):
        return result
    return [lowering.builder.emit(relax.TupleGetItem(result, index)) for index in range(len(result.ty.fields))]
