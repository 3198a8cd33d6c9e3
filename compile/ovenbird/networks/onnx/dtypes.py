"""Which dtype a value of an ONNX model is computed in.

Half precisions (float16, bfloat16) are computed in float32: constants are widened when read, inputs and outputs are
cast where they enter and leave (bfloat16, which numpy lacks, passes as float32). So a network of half precision is as
exact as one of float32, whatever the processor.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ovenbird.errors import UnsupportedOperator
from ovenbird_runtime.tensors.arrays import Array

HALVES = ("float16", "bfloat16")
COMPUTED = (
    "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool",
)  # fmt: skip


def computed(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype that stands for `dtype` within the network. Raises UnsupportedOperator."""
    if dtype.name in HALVES:
        return np.dtype(np.float32)
    if dtype.name not in COMPUTED:
        name = "text" if dtype.kind in "OUS" else dtype.name
        raise UnsupportedOperator(f"the model computes in {name}; known are float16, bfloat16, {', '.join(COMPUTED)}")
    return dtype


def passed(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype that an input or output of this dtype has outside of the network. Raises UnsupportedOperator."""
    computed(dtype)
    return np.dtype(np.float32) if dtype.name == "bfloat16" else dtype


def widened(array: Any) -> Array:
    """Return an array in the dtype that it is computed in."""
    found: Array = np.asarray(array)
    return found.astype(computed(found.dtype), copy=False)


def element_dtype(element_type: int) -> np.dtype[Any]:
    """Return numpy's dtype of ONNX's number of an element type. Raises UnsupportedOperator for none."""
    from onnx.helper import tensor_dtype_to_np_dtype

    try:
        found: np.dtype[Any] = np.dtype(tensor_dtype_to_np_dtype(element_type))
    except (KeyError, TypeError, ValueError):
        raise UnsupportedOperator(f"the model has a tensor of ONNX's element type {element_type}") from None
    return found
