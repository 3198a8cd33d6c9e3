"""The module's tensors that a graph's code was made for, and whether they are still those.

    weights = FrozenTensors(arguments, places=(0, 1, 4))
    weights.unchanged(arguments)            # microseconds: it runs before every call

A tensor in another's place is seen by identity, what optimizers and `load_state_dict` write by torch's count of
writes, new memory by its address. Writes through `.data` are counted nowhere: for them, samples of the bytes are
compared, which finds any that reaches the first, the middle or the last bytes of a tensor.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import torch

SAMPLE_BYTES = 64
UNCOUNTED = -1
"""The version of a tensor made in inference mode, which has no count of writes."""


class FrozenTensors:
    """Tensors as they were."""

    def __init__(self, arguments: Sequence[Any], places: Sequence[int]) -> None:
        """Remember those at `places`."""
        self._known: list[tuple[int, weakref.ref[torch.Tensor], int, int]] = []
        for place in places:
            tensor: torch.Tensor = arguments[place]
            self._known.append((place, weakref.ref(tensor), _version(tensor), tensor.data_ptr()))
        self._samples = [(view, bytes(view)) for place in places for view in _sampled(arguments[place])]

    def unchanged(self, arguments: Sequence[Any]) -> bool:
        """Return whether they are the same tensors with the same numbers."""
        for place, known, version, address in self._known:
            tensor: torch.Tensor = arguments[place]
            if tensor is not known() or _version(tensor) != version or tensor.data_ptr() != address:
                return False
        return all(view == kept for view, kept in self._samples)


def _version(tensor: torch.Tensor) -> int:
    return UNCOUNTED if tensor.is_inference() else tensor._version


def _sampled(tensor: torch.Tensor) -> Iterator[memoryview]:
    """Yield views of the first, middle and last bytes that a tensor has."""
    array: Any = torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage()).numpy()
    whole = memoryview(array)
    begin = tensor.storage_offset() * tensor.itemsize
    steps = zip(tensor.shape, tensor.stride(), strict=True)
    end = begin + (sum((size - 1) * stride for size, stride in steps) + 1) * tensor.itemsize
    if end - begin <= 3 * SAMPLE_BYTES:
        yield whole[begin:end]
        return
    for start in (begin, (begin + end - SAMPLE_BYTES) // 2, end - SAMPLE_BYTES):
        yield whole[start : start + SAMPLE_BYTES]
