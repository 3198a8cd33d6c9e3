"""Named tensors in an .npz file, for `ovenbird-rt run --inputs` and `--outputs`.

write_tensors(Path("out.npz"), model.run(read_tensors(Path("in.npz"))))
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..errors import InputUnreadable, shown
from ..limits import MAX_TENSORS_FILE_BYTES
from .arrays import Array
from .npz import read_npz
from .writing import write_whole

_ONE_ARRAY = b"\x93NUMPY"


def read_tensors(path: Path) -> dict[str, Array]:
    """Read all arrays of an .npz file; nothing in it is unpickled. Raises InputUnreadable."""
    try:
        with path.open("rb") as file:
            if file.read(len(_ONE_ARRAY)) == _ONE_ARRAY:
                raise InputUnreadable(f"{shown(path.name)} is a single array: save with np.savez(file, name=array)")
            return read_npz(file, MAX_TENSORS_FILE_BYTES)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise InputUnreadable(f"{shown(path.name)} cannot be read as .npz: {why}") from None


def npz_bytes(tensors: Mapping[str, Array]) -> bytes:
    """Return arrays by name as the bytes of an .npz file: the same arrays, the same bytes."""
    result = io.BytesIO()
    with zipfile.ZipFile(result, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(tensors):
            member = io.BytesIO()
            np.lib.format.write_array(member, np.ascontiguousarray(tensors[name]), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue())  # dated 1980, not today
    return result.getvalue()


def write_tensors(path: Path, tensors: Mapping[str, Array]) -> None:
    """Write arrays by name, as `write_whole` does. Raises OutputNotWritten."""
    write_whole(path, npz_bytes(tensors))
