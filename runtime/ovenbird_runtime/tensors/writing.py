"""Files that are whole or not there: a full disk leaves no half of one.

write_whole(Path("annotated.jpg"), data)
"""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import OutputNotWritten, shown


def write_whole(path: Path, data: bytes) -> None:
    """Write a file elsewhere, then rename it, so that an older one stays as it is until then. Raises OutputNotWritten.

    What is no plain file (/dev/null, a pipe, a link) is written to as it is: a rename would take its place.
    """
    as_it_is = path.is_symlink() or (path.exists() and not path.is_file())
    partial = path if as_it_is else path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_bytes(data)
        if partial != path:
            partial.replace(path)
    except OSError as error:
        if partial != path:
            partial.unlink(missing_ok=True)
        raise OutputNotWritten(f"{shown(path.name)} cannot be written: {error.strerror}") from None
