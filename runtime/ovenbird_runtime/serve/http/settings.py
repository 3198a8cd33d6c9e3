"""What a client may send over HTTP, and how long it may take over it; one field for each option of the server.

HttpLimits(body_bytes=1 << 20, header_seconds=5)
"""

from __future__ import annotations

from ... import limits
from ...arguments import Settled
from ...dataclass import dataclass


@dataclass(frozen=True)
class HttpLimits(Settled):
    """Bytes, seconds, and counts, as the names say."""

    body_bytes: int = limits.SERVE_BODY_BYTES
    buffered_bytes: int = limits.SERVE_BUFFERED_BYTES
    header_bytes: int = limits.SERVE_HEADER_BYTES
    headers: int = limits.SERVE_HEADERS
    header_seconds: float = limits.SERVE_HEADER_SECONDS
    body_seconds: float = limits.SERVE_BODY_SECONDS
    write_seconds: float = limits.SERVE_WRITE_SECONDS
    keep_alive_seconds: float = limits.SERVE_KEEP_ALIVE_SECONDS
    connections: int = limits.SERVE_CONNECTIONS
    parts: int = limits.SERVE_PARTS
    field_bytes: int = limits.SERVE_FIELD_BYTES
