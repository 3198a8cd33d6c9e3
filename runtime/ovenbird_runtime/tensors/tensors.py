"""Named tensors in an .npz file, for `ovenbird-rt run --inputs` and `--outputs`.

write_tensors(Path("out.npz"), model.run(read_tensors(Path("in.npz"))))
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..errors import InputUnreadable, OutputNotWritten, shown
from ..limits import MAX_TENSORS_FILE_BYTES
from .arrays import Array
from .npz import read_npz

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
    """Write arrays by name, elsewhere, then renamed: a full disk leaves no half of a file. Raises OutputNotWritten.

    What is no plain file (/dev/null, a pipe, a link) is written to as it is: a rename would take its place.
    """
    as_it_is = path.is_symlink() or (path.exists() and not path.is_file())
    partial = path if as_it_is else path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_bytes(npz_bytes(tensors))
        if partial != path:
            partial.replace(path)
    except OSError as error:
        if partial != path:
            partial.unlink(missing_ok=True)
        raise OutputNotWritten(f"{shown(path.name)} cannot be written: {error.strerror}") from None
