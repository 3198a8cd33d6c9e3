"""Lowering of matrix products of levels by constant int8 weights.

Example: uint8 [1, 2048] by int8 [2048, 1000] and a bias becomes one kernel that gives float32.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from tvm import relax

from ovenbird.backends.cpu.lowering.context import CpuLowering
from ovenbird.backends.cpu.lowering.movements.reshape import reshaped
from ovenbird.backends.cpu.lowering.quantized.conv2d import MAX_PRODUCTS, zero_correction
from ovenbird.backends.cpu.lowering.quantized.sums import Sums, pending
from ovenbird.backends.cpu.schedules.tile_choice import choose_rows
from ovenbird.lowering.walk import Lowered
from ovenbird.operators.anchors import Arithmetic
from ovenbird.operators.quantized import packing, sums
from ovenbird.passes.shapes import static_shape

ARITHMETIC = Arithmetic("int32", "int8", sums.TAPS)


def lower_levels_matmul(lowering: CpuLowering, call: relax.Call) -> Lowered | None:
    """Lower a product of levels [..., M, K] by weights [K, N]."""
    left, right = (lowering.value(arg) for arg in call.args)
    shape = static_shape(call)
    if shape is None or left.levels is None or left.constant is not None or right.levels is None:
        return None
    weight, scale = right.levels.value.constant, right.levels.scale
    if (
        weight is None
        or weight.ndim != 2
        or len(left.shape) < 2
        or scale.size != scale.shape[-1]
        or weight.shape[0] > MAX_PRODUCTS
    ):
        return None
    rows, columns = math.prod(shape[:-1]), shape[-1]
    packed = packing.pack_matmul_weight(weight, lowering.block)
    plain = reshaped(lowering, lowering.form.plain(left.levels.value), (rows, left.shape[-1]))
    narrow = lowering.machine.adds_narrow and packing.is_narrow(packed)
    tile_rows = choose_rows(packed.shape[0], rows, lowering.machine, ARITHMETIC._replace(narrow=narrow))
    product = Sums(
        "matmul",
        functools.partial(sums.matmul, columns=columns, tile_rows=tile_rows, narrow=narrow),
        (plain, lowering.weight(packed)),
        False,
        (rows, columns),
        zero_correction(weight.T, left.levels.zero - lowering.machine.level_shift),
        np.broadcast_to(scale.reshape(-1).astype(np.float64) * float(left.levels.scale), (columns,)),
    )
    return pending(product, shape)
