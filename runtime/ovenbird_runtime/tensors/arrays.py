"""Memory that compiled code may read and write.

buffer = aligned_empty((1, 3, 224, 224), "float32")             # on a 64-byte boundary, contiguous
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

from ..limits import ALIGNMENT_BYTES

if TYPE_CHECKING:
    from typing import Any

    import numpy as np

Array: TypeAlias = "np.ndarray[Any, Any]"
"""An array of any shape and dtype; a string, so that no module imports numpy for its annotations."""
Arrays: TypeAlias = "dict[str, Array]"
"""Arrays by name: the inputs or outputs of a call."""


def aligned_empty(shape: tuple[int, ...], dtype: str) -> Array:
    """Return an uninitialised C-contiguous array that begins on a 64-byte boundary."""
    import numpy as np

    return _aligned(np.empty(_bytes(shape, dtype), np.uint8), shape, dtype)


def aligned_zeros(shape: tuple[int, ...], dtype: str) -> Array:
    """Return such an array of zeros; pages that nobody touches take no memory."""
    import numpy as np

    return _aligned(np.zeros(_bytes(shape, dtype), np.uint8), shape, dtype)


def _bytes(shape: tuple[int, ...], dtype: str) -> int:
    import numpy as np

    return math.prod(shape) * np.dtype(dtype).itemsize + ALIGNMENT_BYTES


def _aligned(raw: Array, shape: tuple[int, ...], dtype: str) -> Array:
    start = -raw.ctypes.data % ALIGNMENT_BYTES
    return raw[start : start + raw.nbytes - ALIGNMENT_BYTES].view(dtype).reshape(shape)
