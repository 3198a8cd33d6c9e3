"""Small text files of the user's: class names, preprocessing, darknet's `.cfg`.

read_text(path, MAX_CFG_BYTES, lambda why: NetworkUnreadable(f"{path}: {why}"))
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def read_text(path: Path, limit: int, error: Callable[[str], Exception]) -> str:
    """Return the text, UTF-8 with or without a mark, of at most `limit` bytes. Raises `error` of what is wrong."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
        if len(data) <= limit:
            return data.decode("utf-8-sig")
    except OSError as found:
        raise error(str(found.strerror)) from None
    except UnicodeDecodeError as found:
        raise error(f"not UTF-8: {found.reason} at byte {found.start}") from None
    raise error(f"longer than {limit} bytes")
