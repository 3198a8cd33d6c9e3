"""Named tensors in an .npz file, for `ovenbird-rt run --inputs` and `--outputs`.

write_tensors(Path("out.npz"), model.run(read_tensors(Path("in.npz"))))
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import InputUnreadable, OutputNotWritten, shown

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def read_tensors(path: Path) -> dict[str, Array]:
    """Read all arrays of an .npz file; nothing in it is unpickled. Raises InputUnreadable."""
    import numpy as np

    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise InputUnreadable(f"{shown(path.name)} is a single array: save with np.savez(file, name=array)")
        with archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, RuntimeError, NotImplementedError, MemoryError, zipfile.BadZipFile) as error:
        raise InputUnreadable(f"{shown(path.name)} cannot be read as .npz: {error}") from None


def write_tensors(path: Path, tensors: Mapping[str, Array]) -> None:
    """Write arrays by name, beside first and then renamed: a full disk leaves no half of a file. Raises
    OutputNotWritten.
    """
    import numpy as np

    partial = path.with_name(f"{path.name}.part")
    try:
        with partial.open("wb") as file:
            np.savez(file, allow_pickle=False, **tensors)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OutputNotWritten(f"{shown(path.name)} cannot be written: {error.strerror}") from None
