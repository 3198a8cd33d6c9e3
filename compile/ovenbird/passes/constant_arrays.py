"""A constant's numbers where they lie: weights are most of what a compile holds, and are copied only to change them.

array = array_of(constant)          # shares the memory of the tensor, and keeps it
key = key_of(array)                 # equal for equal numbers of one dtype and shape
"""

from __future__ import annotations

import hashlib
from typing import TypeAlias

import numpy as np
import tvm

from ovenbird_runtime.tensors.arrays import Array

ArrayKey: TypeAlias = "tuple[bytes, str, tuple[int, ...]]"


def array_of(constant: tvm.ir.GenericConst) -> Array:
    """Return a constant's numbers, not to be written to; a copy where numpy lacks their dtype."""
    try:
        found: Array = np.from_dlpack(constant.value)
    except (BufferError, RuntimeError, TypeError):  # bfloat16
        found = constant.value.numpy()
    return found


def key_of(array: Array) -> ArrayKey:
    """Return what tells an array from others: its digest, dtype and shape."""
    return hashlib.sha256(array.reshape(-1).view(np.uint8).data).digest(), str(array.dtype), array.shape
