"""Text of the user's that is to be a file's path, refused where no file can have it.

check_path("--weights", "net.pth")
"""

from __future__ import annotations

from pathlib import Path

from ovenbird.errors import UsageError
from ovenbird.limits import MAX_PATH_BYTES, MAX_PATH_PART_BYTES
from ovenbird_runtime.errors import shown


def check_path(what: str, text: str) -> Path:
    """Return the path. Raises UsageError for one that is empty, too long for Linux, or holds a zero byte."""
    data = text.encode("utf-8", "surrogateescape")
    if not text.strip() or "\0" in text:
        raise UsageError(f"{what} {shown(text)}: expected a name or a file's path")
    longest = max(map(len, data.split(b"/")))
    if len(data) > MAX_PATH_BYTES or longest > MAX_PATH_PART_BYTES:
        limits = f"{MAX_PATH_BYTES}, and {MAX_PATH_PART_BYTES} between slashes"
        raise UsageError(f"{what} {shown(text)}: {len(data)} bytes, limit {limits}")
    return Path(text)
