"""A body as it comes, in parts of any size, held compactly: what is held is what is counted.

    body = Body()
    body.add(b"ab")                 # a chunk of two bytes costs two bytes, not an object of fifty
    body.length, body.held
    whole = body.take()             # once; no copy of what is large

A client chooses the sizes of its chunks. A small body is one growing array. A large one has memory of its own from the
system: it grows without being copied, takes only the pages that were written, and leaves no hole in the C library's
heap, where bodies that grow side by side would leave as many bytes of holes again.
"""

from __future__ import annotations

from mmap import MAP_ANONYMOUS, MAP_PRIVATE, PAGESIZE, mmap

Bytes = bytes | mmap
"""What a body becomes: both can be cut, searched, and viewed."""

_SMALL_BYTES = 262144


class Body:
    """The bytes of one body so far."""

    __slots__ = ("_large", "_room", "_small", "length")

    def __init__(self) -> None:
        """Start empty."""
        self.length = self._room = 0
        self._small = bytearray()
        self._large: mmap | None = None

    def add(self, part: bytes) -> None:
        """Append a part."""
        start = self.length
        self.length += len(part)
        if self._large is None and self.length <= _SMALL_BYTES:
            self._small += part
            return
        if self.length > self._room:
            self._grow(start)
        assert self._large is not None
        self._large[start : self.length] = part

    def _grow(self, start: int) -> None:
        """Make room for twice what there is; what is not written yet takes no memory."""
        self._room = 2 * self.length
        if self._large is None:
            self._large = mmap(-1, self._room, flags=MAP_PRIVATE | MAP_ANONYMOUS)
            self._large[:start] = bytes(self._small)
            self._small = bytearray()
        else:
            self._large.resize(self._room)

    @property
    def held(self) -> int:
        """Bytes of memory, with what the array keeps in reserve."""
        if self._large is not None:
            return self.length + PAGESIZE
        return self._small.__sizeof__() if self._small else 0

    def take(self) -> Bytes:
        """Return the whole, and start again."""
        large, small, length = self._large, self._small, self.length
        self._large, self._small, self.length, self._room = None, bytearray(), 0, 0
        if large is None:
            return bytes(small)
        large.resize(length)
        return large
