"""Opening files of an artifact that may be hostile: plain files only, below one folder, through no link.

descriptor = open_plain(Path("artifacts/resnet50"), "manifest.json")      # the caller closes it
data = read_up_to(descriptor, 4 << 20)                                    # one byte more shows that there is more
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ..errors import FileMissing, UnsafePath, shown

_CHUNK_BYTES = 1 << 20


def open_plain(root: Path, name: str) -> int:
    """Open the plain file `name` (folders separated by "/") below `root`, following no link on the way.

    Raises UnsafePath for links, devices, pipes and paths that leave the folder, FileMissing where it cannot be read.
    """
    parts = name.split("/")
    if any(part in ("", ".", "..") or "\0" in part or "\\" in part for part in parts):
        raise UnsafePath(f"{shown(name)} is not a plain path inside the artifact")
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    folder = -1
    try:
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for part in parts[:-1]:
            _refuse_link(folder, part, name)
            inner = os.open(part, flags | os.O_DIRECTORY, dir_fd=folder)
            os.close(folder)
            folder = inner
        _refuse_link(folder, parts[-1], name)
        # A pipe must not make us wait for its writer before we can refuse it.
        descriptor = os.open(parts[-1], flags | os.O_NONBLOCK, dir_fd=folder)
    except (OSError, UnicodeEncodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its name cannot be a file's"
        raise FileMissing(f"{shown(name)} cannot be read: {reason}") from None
    finally:
        if folder >= 0:
            os.close(folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UnsafePath(f"{shown(name)} is not a plain file")
    return descriptor


def read_up_to(descriptor: int, limit: int) -> bytes:
    """Read an open file from where it stands, at most one byte beyond `limit`: then it is too long.

    In pieces, as it comes: `file.read(limit + 1)` takes the limit's memory for a file of ten bytes. Raises OSError.
    """
    pieces, size = [], 0
    while size <= limit and (piece := os.read(descriptor, min(_CHUNK_BYTES, limit + 1 - size))):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


def _refuse_link(folder: int, part: str, name: str) -> None:
    if stat.S_ISLNK(os.stat(part, dir_fd=folder, follow_symlinks=False).st_mode):
        raise UnsafePath(
            f"{shown(name)} is or passes through a symbolic link: copy the artifact with its links resolved (cp -rL)"
        )
