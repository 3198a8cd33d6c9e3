"""The module's tensors that a graph's code was made for, and whether they are still those.

    weights = FrozenTensors(arguments, places=(0, 1, 4))
    weights.unchanged(arguments)            # microseconds: it runs before every call

A tensor in another's place is seen by identity, what optimizers and `load_state_dict` write by torch's count of
writes, new memory by its address. Writes through `.data` are counted nowhere: for them, bytes are compared with those
of before. Tensors of up to `WHOLE_BYTES` are compared whole, of larger ones the ends and `SAMPLES` elements between
them; with `check_all` every byte of all, by a checksum.
"""

from __future__ import annotations

import operator
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
VERSION = operator.attrgetter("_version")


class FrozenTensors:
    """Tensors as they were. Each look at all of them is one call that loops in C: a network has hundreds."""

    def __init__(self, arguments: Sequence[Any], places: Sequence[int], check_all: bool = False) -> None:
        """Remember those at `places`."""
        tensors: list[torch.Tensor] = [arguments[place] for place in places]
        self._places = tuple(places)
        # Filled by references to tensors that are gone: another may have got the identity of one.
        self._died: list[Any] = []
        self._references = [weakref.ref(tensor, self._died.append) for tensor in tensors]
        self._identities = [*map(id, tensors)]
        # Tensors made in inference mode have no count of writes.
        self._counted = [place for place, tensor in zip(places, tensors, strict=True) if not tensor.is_inference()]
        self._versions = [*map(VERSION, (arguments[place] for place in self._counted))]
        self._addresses = [*map(torch.Tensor.data_ptr, tensors)]
        self._views: list[memoryview] = []
        self._samples: list[Array] = []
        self._sums: list[tuple[memoryview, int]] = []
        for view, tensor in zip(map(bytes_of, tensors), tensors, strict=True):
            if len(view) <= WHOLE_BYTES:
                self._views.append(view)
            elif check_all:
                self._sums.append((view, zlib.crc32(view)))
            else:
                self._views += (view[:END_BYTES], view[-END_BYTES:])
                elements = np.frombuffer(view, f"u{min(tensor.itemsize, 8)}")
                self._samples.append(elements[:: (elements.size // SAMPLES) | 1])  # odd: even steps fall on few lines
        self._bytes = self._read()

    def unchanged(self, arguments: Sequence[Any]) -> bool:
        """Return whether they are the same tensors with the same numbers."""
        tensors = [arguments[place] for place in self._places]
        return (
            not self._died
            and [*map(id, tensors)] == self._identities
            and [*map(torch.Tensor.data_ptr, tensors)] == self._addresses
            and [*map(VERSION, (arguments[place] for place in self._counted))] == self._versions
            and self._read() == self._bytes
            and all(zlib.crc32(view) == kept for view, kept in self._sums)
        )

    def _read(self) -> list[bytes]:
        """Return the bytes that are compared."""
        return [*map(memoryview.tobytes, self._views), *map(np.ndarray.tobytes, self._samples)]


def bytes_of(tensor: torch.Tensor) -> memoryview:
    """Return the memory from a tensor's first element to its last."""
    array: Any = torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage()).numpy()
    begin = tensor.storage_offset() * tensor.itemsize
    steps = zip(tensor.shape, tensor.stride(), strict=True)
    end = begin + (sum((size - 1) * stride for size, stride in steps) + 1) * tensor.itemsize
    return memoryview(array)[begin:end]
