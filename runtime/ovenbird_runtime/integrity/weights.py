"""Weights mapped read-only, as they were when they were checked, whatever happens to their file afterwards.

    mapped = MappedFile(descriptor, "weights/5f0c.bin")
    mapped.view(offset=0, dtype="float32", shape=(64, 3, 7, 7))

Where the file can be put under a lease (`leases.py`), or lies in the read-only image of our container, its own pages
are mapped: every process that loads the artifact shares them, and nothing is copied. Elsewhere (another user's file, a
network file system, a file that is open for writing) the process has a sealed copy of its own.

A write through such a view is a segmentation fault, by the processor's own protection; nothing in the runtime
writes there.
"""

from __future__ import annotations

import ctypes
import math
import mmap
import os

from ..errors import FileMissing
from ..tensors.arrays import Array, aligned_empty
from .leases import LeasedPages, lies_in_image
from .sealed import SealedFile


class MappedFile:
    """A whole file mapped read-only; takes no ownership of the descriptor, which may be closed afterwards."""

    _map: mmap.mmap | None

    def __init__(self, descriptor: int, name: str) -> None:
        """Map the file, or a copy of it where it may change. Raises FileMissing.

        Pages come as they are read: by whoever takes the digest, from several threads, not by the first prediction.
        """
        if not self._map_itself(descriptor, name):
            copy = SealedFile(descriptor, name)  # whose descriptor is open as long as it lives
            self._map = _map_all(copy.descriptor, name)

    @classmethod
    def uncopied(cls, descriptor: int, name: str) -> MappedFile | None:
        """Map the file itself; None where it may change. Raises FileMissing."""
        found = cls.__new__(cls)
        return found if found._map_itself(descriptor, name) else None

    def _map_itself(self, descriptor: int, name: str) -> bool:
        """Map the file's own pages, if they stay what they are; return whether they do. Raises FileMissing."""
        self._map = None
        in_image = lies_in_image(descriptor)
        self._leased = None if in_image else LeasedPages.of(descriptor)
        self.shared = in_image or self._leased is not None
        """Whether the pages are the file's own, which other processes map too."""
        if self._leased is not None:
            self._map = self._leased.map
        elif in_image:
            self._map = _map_all(descriptor, name)
        return self.shared

    @property
    def size(self) -> int:
        """The bytes of the file."""
        return 0 if self._map is None else len(self._map)

    @property
    def bytes(self) -> memoryview:
        """The whole file, read-only."""
        return memoryview(self._map) if self._map is not None else memoryview(b"")

    def view(self, offset: int, dtype: str, shape: tuple[int, ...]) -> Array:
        """Return the array at `offset` bytes, without a copy; the caller keeps this object alive as long as the array.

        The array calls itself writeable because DLPack producers refuse to export what is not; the pages are not.
        """
        import numpy as np

        nbytes = math.prod(shape) * np.dtype(dtype).itemsize
        if nbytes == 0:
            return aligned_empty(shape, dtype)
        # The manifest's check comes first; this one guards the address arithmetic.
        if self._map is None or offset < 0 or offset + nbytes > self.size:
            raise FileMissing(f"bytes {offset} to {offset + nbytes} are not in a file of {self.size}")
        address = int(np.frombuffer(self._map, np.uint8).ctypes.data) + offset
        buffer = (ctypes.c_uint8 * nbytes).from_address(address)
        array: Array = np.frombuffer(memoryview(buffer), dtype=np.dtype(dtype)).reshape(shape)
        return array


def _map_all(descriptor: int, name: str) -> mmap.mmap | None:
    """Map a file that does not change; None for an empty one, which cannot be mapped. Raises FileMissing."""
    size = os.fstat(descriptor).st_size
    try:
        return mmap.mmap(descriptor, size, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ) if size else None
    except (OSError, ValueError) as error:
        raise FileMissing(f"{name} cannot be mapped: {error}") from None
