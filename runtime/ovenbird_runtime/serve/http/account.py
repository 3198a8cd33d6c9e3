"""What all clients together make this server hold, over HTTP and over gRPC: the two share their limits.

account = Account(limits)
account.held += 602112
account.check_room()            # raises ServerFull
"""

from __future__ import annotations

from .errors import ServerFull
from .settings import HttpLimits

PIECE_BYTES = 65536
"""An answer is written in pieces: what waits next to the answer itself is one of them."""


class Account:
    """Bytes of requests and answers, and connections; used from the event loop only."""

    def __init__(self, limits: HttpLimits) -> None:
        """Start with nothing."""
        self._limits = limits
        self.held = self.connections = 0

    def check_room(self, more: int = 0) -> None:
        """Raise ServerFull where more is in memory than may be, or would be with `more` bytes."""
        size, limit = self.held + more, self._limits.buffered_bytes
        if size > limit:
            raise ServerFull(
                f"requests and answers in memory have {size} bytes, limit {limit} (--max-buffered-bytes): "
                "come back later",
                retry_after=1,
            )

    def check_answer(self, size: int) -> None:
        """Raise ServerFull where an answer of `size` bytes finds no room. A small one always does: a refusal is one."""
        if size >= PIECE_BYTES:
            self.check_room(size)

    def check_connections(self) -> None:
        """Raise ServerFull where there are more connections than may be."""
        limit = self._limits.connections
        if self.connections > limit:
            raise ServerFull(f"{limit} connections are open, the limit (--max-connections)", retry_after=1)
