"""Tensors of the protocol to numpy and back: JSON numbers or raw little-endian bytes.

array = from_json("FP32", [1, 3], b"[1.0, 2.0, 3.0]", "image")
array = from_bytes("FP32", [1, 3], memoryview(data), "image")
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
import numpy as np

from ...errors import WrongDtype, WrongShape, shown
from ...limits import MAX_DIM, SERVE_TENSOR_RANK
from ...tensors.arrays import Array

DTYPES = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}


def dtype_of(datatype: Any, name: str) -> np.dtype[Any]:
    """Return numpy's dtype, little-endian. Raises WrongDtype."""
    if datatype == "BF16":
        raise WrongDtype(f"{name} has datatype BF16, which is not read here: send FP32, which holds every BF16")
    if not isinstance(datatype, str) or datatype not in DTYPES:
        raise WrongDtype(f"{name} has datatype {shown(datatype)}, expected one of {', '.join(DTYPES)}")
    dtype: np.dtype[Any] = np.dtype(DTYPES[datatype]).newbyteorder("<")
    return dtype


def check_shape(shape: Any, name: str) -> tuple[int, ...]:
    """Return a shape as a tuple. Raises WrongShape."""
    fits = isinstance(shape, (list, tuple)) and len(shape) <= SERVE_TENSOR_RANK
    if not fits or not all(isinstance(d, int) and not isinstance(d, bool) and 0 <= d < MAX_DIM for d in shape):
        raise WrongShape(
            f"{name} has shape {shown(shape)}, expected up to {SERVE_TENSOR_RANK} whole numbers from 0 to {MAX_DIM - 1}"
        )
    if math.prod(d for d in shape if d) >= MAX_DIM:
        raise WrongShape(f"{name} has shape {shown(shape)}, limit {MAX_DIM - 1} values")
    return tuple(shape)


def from_bytes(datatype: Any, shape: Any, data: bytes | memoryview, name: str) -> Array:
    """View raw bytes as an array, without a copy. Raises WrongDtype, WrongShape."""
    dtype, dims = dtype_of(datatype, name), check_shape(shape, name)
    expected = math.prod(dims) * dtype.itemsize
    if len(data) != expected:
        raise WrongShape(f"{name} has {len(data)} bytes, {datatype} {list(dims)} takes {expected}")
    if dtype.kind == "b" and np.frombuffer(data, np.uint8).max(initial=0) > 1:
        raise WrongDtype(f"{name} is BOOL and holds a byte that is neither 0 nor 1")
    return np.frombuffer(data, dtype).reshape(dims)


def from_json(datatype: Any, shape: Any, data: bytes | memoryview, name: str) -> Array:
    """Make an array of the JSON text of numbers, flat or nested exactly as the shape is.

    Values are counted before they are made, each 32 bytes until it is in the array. Raises WrongDtype, WrongShape.
    """
    dtype, dims = dtype_of(datatype, name), check_shape(shape, name)
    count = math.prod(dims)
    start = re.match(rb"\s*\[\s*(\[?)", data)
    if start is None:
        raise WrongDtype(f"{name} has data that is no list of numbers")
    commas = int(np.count_nonzero(np.frombuffer(data, np.uint8) == ord(",")))
    if commas != max(count - 1, 0):
        raise WrongShape(f"{name} has {commas + 1} values, {list(dims)} takes {count}")
    try:
        values = _decoder(dtype.kind, len(dims) if start[1] else 1).decode(data)
    except msgspec.ValidationError as error:
        raise WrongDtype(f"{name} is {datatype} {list(dims)} and holds something else: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WrongDtype(f"{name} is not JSON: {error}") from None
    flat = _flatten(values, dims, name) if start[1] else values
    if len(flat) != count:
        raise WrongShape(f"{name} has {len(flat)} values, {list(dims)} takes {count}")
    return _array(flat, dtype, dims, datatype, name)


@cache
def _decoder(kind: str, depth: int) -> msgspec.json.Decoder[Any]:
    """Make a decoder of lists in lists of booleans, integers or numbers."""
    inner: Any = {"b": bool, "i": int, "u": int}.get(kind, float)
    for _ in range(depth):
        inner = list[inner]
    return msgspec.json.Decoder(inner)


def from_typed(datatype: Any, shape: Any, values: Sequence[Any], name: str) -> Array:
    """Make an array of the typed contents of a gRPC request. Raises WrongDtype, WrongShape."""
    dtype, dims = dtype_of(datatype, name), check_shape(shape, name)
    count = math.prod(dims)
    if len(values) != count:
        raise WrongShape(f"{name} has {len(values)} values, {list(dims)} takes {count}")
    return _array(values, dtype, dims, datatype, name)


def _array(values: Sequence[Any], dtype: np.dtype[Any], dims: tuple[int, ...], datatype: str, name: str) -> Array:
    """Make an array of checked numbers, one by one: a list of them would take eight times the memory."""
    try:
        with np.errstate(over="ignore"):
            return np.fromiter(values, dtype, len(values)).reshape(dims)
    except (OverflowError, ValueError) as error:
        raise WrongDtype(f"{name} holds a value that {datatype} does not: {error}") from None


def _flatten(data: list[Any], dims: tuple[int, ...], name: str) -> list[Any]:
    """Unpack lists in lists, a level for each dimension. Raises WrongShape where one is not as long as its shape."""
    level = [data]
    for place, size in enumerate(dims):
        if any(type(item) is not list or len(item) != size for item in level):
            raise WrongShape(
                f"{name} is not nested as its shape {list(dims)}: dimension {place} is not {size} everywhere"
            )
        level = [value for item in level for value in item]
    return level


def to_json(array: Array) -> list[Any]:
    """Return an array's values as a flat list; what JSON cannot say (NaN, infinity) as null."""
    values: list[Any] = array.reshape(-1).tolist()
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return [value if math.isfinite(value) else None for value in values]
    return values


def to_bytes(array: Array) -> bytes:
    """Return an array's raw little-endian bytes."""
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
