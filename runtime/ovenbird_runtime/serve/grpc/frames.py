"""HTTP/2's frames as they arrive: their borders, how much of one is held, and who sends what costs more than it gives.

    watch = FrameWatch(limit=65536)
    watch.take(data)                    # raises BadRequest before anything of a hostile frame is kept
    watch.held, watch.since             # bytes, and since when

h2 parses frames, and keeps what is not whole yet: a frame of 16 MB is refused only when all of it is here. So the nine
bytes before each frame are read here first, by hand since h2 has no hook for it (RFC 9113, section 4.1).
"""

from __future__ import annotations

import time

from ...limits import SERVE_SPARE_FRAMES
from ..http.errors import BadRequest

_PREFACE_BYTES = 24  # "PRI * HTTP/2.0 ...", which h2 checks
_HEAD_BYTES = 9
_DATA, _HEADERS, _CONTINUATION = 0, 1, 9
_END_STREAM, _END_HEADERS = 0x1, 0x4
_SMALL_BYTES = 64  # data in frames below this size costs more to parse than to hold


class FrameWatch:
    """Follows the frames of one connection."""

    __slots__ = ("_head", "_left", "_limit", "block_since", "held", "since", "spare", "stream")

    def __init__(self, limit: int) -> None:
        """Begin before the client's preface; `limit` is the most bytes of one frame."""
        self._limit = limit
        self._left, self._head = _PREFACE_BYTES, b""
        self.held = self.stream = 0  # bytes of the frame that is not whole yet, and the stream it is of
        self.since = self.block_since = 0.0  # when the frame, the block of headers, that is not whole yet began
        self.spare = SERVE_SPARE_FRAMES

    def take(self, data: memoryview) -> int:
        """Follow more bytes; return how many frames begin in them.

        Raises BadRequest for a frame beyond the limit, or too many that carry nothing.
        """
        place, end, now, begun = 0, len(data), time.monotonic(), 0
        while place < end:
            if not self.held:
                self.since = now
            if self._left:
                step = min(self._left, end - place)
                self._left -= step
            else:
                part = bytes(data[place : place + _HEAD_BYTES - len(self._head)])
                step = len(part)
                self._head += part
                if len(self._head) == _HEAD_BYTES:
                    self._begin(self._head, now)
                    begun += 1
            place += step
            self.held += step
            if self._left == 0 and len(self._head) in (0, _HEAD_BYTES):
                self._head, self.held = b"", 0
        if not self.held:
            self.since = 0.0
        return begun

    def _begin(self, head: bytes, now: float) -> None:
        length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
        if length > self._limit:
            raise BadRequest(f"a frame of {length} bytes, limit {self._limit} (SETTINGS_MAX_FRAME_SIZE)")
        self._left, self.stream = length, int.from_bytes(head[5:9], "big")
        if kind in (_HEADERS, _CONTINUATION):
            self.block_since = 0.0 if flags & _END_HEADERS else self.block_since or now
        useful = kind == _HEADERS or (kind == _DATA and (length >= _SMALL_BYTES or flags & _END_STREAM))
        if not useful:
            self.spare -= 1
            if self.spare < 0:
                raise BadRequest("too many frames that carry nothing, or next to nothing: send larger ones, or fewer")

    def earn(self, frames: int) -> None:
        """Allow some more frames that carry nothing, up to what a connection begins with."""
        self.spare = min(SERVE_SPARE_FRAMES, self.spare + frames)
