"""Lowering of constant levels: their floats, for an operator that takes no others, and the levels for one that does.

Example: `dequantize(int8 [64, 3, 7, 7], scales [64], 0, axis=0)` becomes a constant that convolutions of levels read.
"""

from __future__ import annotations

import numpy as np
from tvm import relax

from ovenbird.lowering.value import Levels, Value
from ovenbird.lowering.walk import Lowered, Lowering
from ovenbird_runtime.tensors.arrays import Array


def lower_constant_dequantize(lowering: Lowering, call: relax.Call) -> Lowered | None:
    """Lower the dequantization of a constant to a constant."""
    data, scale, zero = (lowering.value(arg).constant for arg in call.args)
    if data is None or scale is None or zero is None or str(call.ty.dtype) != "float32":
        return None
    scale, zero = (along(term, data.ndim, int(call.attrs.axis)) for term in (scale, zero))
    floats: Array = (data.astype(np.int32) - zero.astype(np.int32)).astype(np.float32) * scale.astype(np.float32)
    value = lowering.constant(lowering.form.narrowed_array(floats))
    if data.dtype == np.int8 and not np.any(zero):
        levels = Value(data.shape, "int8", constant=data)
        value.levels = Levels(levels, scale.astype(np.float32))
    return value


def along(term: Array, rank: int, axis: int) -> Array:
    """Return one number, or one for each place of an axis, with as many axes as the tensor that it is for."""
    if term.size == 1:
        return term.reshape((1,) * rank)
    return term.reshape([-1 if place == axis % rank else 1 for place in range(rank)])
