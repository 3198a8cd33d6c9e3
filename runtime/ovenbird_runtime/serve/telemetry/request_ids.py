"""What a request is called in logs and answers: as its client says, where that is safe to write, or by a number.

ids = RequestIds()
ids.choose("me-1")              # "me-1"
ids.choose("")                  # "5f0c92d1-1", "5f0c92d1-2" ...
"""

from __future__ import annotations

import secrets

from ...limits import SERVE_REQUEST_ID_CHARS

_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/+=")


class RequestIds:
    """The ids of the requests that come by one protocol; used from the event loop only."""

    def __init__(self) -> None:
        """Begin to count, under a name of its own: several processes may write one log."""
        self._instance, self._count = secrets.token_hex(4), 0

    def choose(self, given: str) -> str:
        """Return the id that a client gave, or a new one."""
        if given and len(given) <= SERVE_REQUEST_ID_CHARS and _SAFE.issuperset(given):
            return given
        self._count += 1
        return f"{self._instance}-{self._count:x}"
