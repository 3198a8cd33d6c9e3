"""The module's tensors that a graph's code was made for, and whether they are still those.

    weights = FrozenTensors(arguments, places=(0, 1, 4))
    weights.unchanged(arguments)            # microseconds: it runs before every call

A tensor in another's place is seen by identity, what optimizers and `load_state_dict` write by torch's count of
writes, new memory by its address. Writes through `.data` are counted nowhere: for them, bytes are compared with those
of before. Tensors of up to `WHOLE_BYTES` are compared whole, of larger ones the ends and `SAMPLES` elements between
them; with `check_all` every byte of all, by a checksum.
"""

from __future__ import annotations

import weakref
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ovenbird_runtime.tensors.arrays import Array

WHOLE_BYTES = 8192
"""Comparing so many takes no longer than a call of numpy's does."""
SAMPLES = 64
"""Of a tensor, evenly spread: a write of so large a part of it in a row is seen. Each misses the cache."""
END_BYTES = 64
UNCOUNTED = -1
"""The version of a tensor made in inference mode, which has no count of writes."""


class FrozenTensors:
    """Tensors as they were."""

    def __init__(self, arguments: Sequence[Any], places: Sequence[int], check_all: bool = False) -> None:
        """Remember those at `places`."""
        self._known: list[tuple[int, weakref.ref[torch.Tensor], int, int]] = []
        self._whole: list[tuple[memoryview, bytes]] = []
        self._sampled: list[tuple[Array, Array]] = []
        self._sums: list[tuple[memoryview, int]] = []
        for place in places:
            tensor: torch.Tensor = arguments[place]
            self._known.append((place, weakref.ref(tensor), _version(tensor), tensor.data_ptr()))
            view = bytes_of(tensor)
            if len(view) <= WHOLE_BYTES:
                self._whole.append((view, bytes(view)))
            elif check_all:
                self._sums.append((view, zlib.crc32(view)))
            else:
                self._whole += [(end, bytes(end)) for end in (view[:END_BYTES], view[-END_BYTES:])]
                elements = np.frombuffer(view, f"u{min(tensor.itemsize, 8)}")
                samples = elements[:: (elements.size // SAMPLES) | 1]  # odd: even steps would fall on few lines
                self._sampled.append((samples, samples.copy()))

    def unchanged(self, arguments: Sequence[Any]) -> bool:
        """Return whether they are the same tensors with the same numbers."""
        for place, known, version, address in self._known:
            tensor: torch.Tensor = arguments[place]
            if tensor is not known() or _version(tensor) != version or tensor.data_ptr() != address:
                return False
        return (
            all(view.tobytes() == kept for view, kept in self._whole)
            and all(bool((view == kept).all()) for view, kept in self._sampled)
            and all(zlib.crc32(view) == kept for view, kept in self._sums)
        )


def _version(tensor: torch.Tensor) -> int:
    return UNCOUNTED if tensor.is_inference() else tensor._version


def bytes_of(tensor: torch.Tensor) -> memoryview:
    """Return the memory from a tensor's first element to its last."""
    array: Any = torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage()).numpy()
    begin = tensor.storage_offset() * tensor.itemsize
    steps = zip(tensor.shape, tensor.stride(), strict=True)
    end = begin + (sum((size - 1) * stride for size, stride in steps) + 1) * tensor.itemsize
    return memoryview(array)[begin:end]
