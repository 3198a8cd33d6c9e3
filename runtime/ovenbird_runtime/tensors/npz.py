"""Read an .npz file that may be hostile: every size is checked before memory is taken for it, nothing is unpickled.

    with open("inputs.npz", "rb") as file:
        arrays = read_npz(file, limit=1 << 30)       # bytes, unpacked; raises ValueError, in one line

`numpy.load` takes what a header promises: 8 PB for a shape of 2**50, from a file of 200 bytes.
"""

from __future__ import annotations

import math
import zipfile
from typing import IO, Any

import numpy as np

from ..errors import shown
from .arrays import Array

_CHUNK_BYTES = 1 << 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what numpy writes


def read_npz(file: IO[bytes], limit: int) -> dict[str, Array]:
    """Read all arrays of numbers, at most `limit` bytes together. Raises ValueError that says what is wrong."""
    try:
        with zipfile.ZipFile(_InPieces(file)) as archive:
            members = archive.infolist()
            total = sum(member.file_size for member in members)
            if total > limit:
                raise ValueError(f"it unpacks to {total} bytes, limit {limit}")
            arrays: dict[str, Array] = {}
            for member in members:
                name = member.filename.removesuffix(".npy")
                if name in arrays:
                    raise ValueError(f"it holds {shown(name)} twice")
                if member.compress_type not in _METHODS or member.flag_bits & 0x1:
                    raise ValueError(f"{shown(name)} is packed in another way than numpy's")
                arrays[name] = _read_member(archive, member, name)
            return arrays
    except MemoryError:
        raise ValueError("there is no memory for its arrays") from None
    except ValueError:
        raise
    except Exception as error:  # noqa: BLE001 - zipfile raises what struct, zlib and the file system do
        raise ValueError(f"{type(error).__name__}: {error}") from None


class _InPieces:
    """A file that is read in pieces: a zip's directory is read in one, and a million members are a gigabyte."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        """Read `size` bytes, or all. Raises ValueError where that is more than a piece."""
        data = self._file.read(min(size, _CHUNK_BYTES + 1) if size >= 0 else _CHUNK_BYTES + 1)
        if len(data) > _CHUNK_BYTES:
            raise ValueError(f"its directory takes more than {_CHUNK_BYTES} bytes")
        return data


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> Array:
    with archive.open(member) as stream:
        shape, by_columns, dtype = _read_header(stream, name)
        size = math.prod(shape) * dtype.itemsize
        # The empty array too must be one that numpy can make: no dimensions whose product is beyond its integers.
        if math.prod(max(1, dim) for dim in shape) > np.iinfo(np.intp).max // dtype.itemsize:
            raise ValueError(f"{shown(name)} has a shape that is too large: {shown(shape)}")
        if stream.tell() + size != member.file_size:
            raise ValueError(f"{shown(name)} says that it holds {size} bytes of numbers, and does not")
        data = bytearray(size)
        rest = memoryview(data)
        while rest:
            count = stream.readinto(rest[:_CHUNK_BYTES])  # type: ignore[attr-defined]
            if not count:
                raise ValueError(f"{shown(name)} is cut off")
            rest = rest[count:]
    array: Array = np.frombuffer(data, dtype)
    return array.reshape(shape[::-1]).T if by_columns else array.reshape(shape)


def _read_header(stream: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, whether in Fortran's order, and dtype."""
    import warnings

    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shape, by_columns, dtype = readers[np.lib.format.read_magic(stream)](stream)
    except Exception as error:  # noqa: BLE001 - the header is parsed as Python, which fails in many ways
        raise ValueError(f"{shown(name)} is no array: {type(error).__name__}") from None
    if dtype.kind not in "biuf" or not 1 <= dtype.itemsize <= 8 or dtype.subdtype is not None:
        raise ValueError(f"{shown(name)} holds {shown(str(dtype))}, expected numbers")
    if any(dim < 0 for dim in shape):
        raise ValueError(f"{shown(name)} has a negative size: {shown(shape)}")
    return shape, by_columns, dtype
