"""A body as it comes, in pieces of any size, held compactly: what is held is what is counted.

    body = Body()
    body.add(b"ab")                 # a chunk of two bytes costs two bytes, not an object of fifty
    body.length, body.held
    body.take()                     # the whole, once

A client chooses the sizes of its chunks. Small ones are gathered into pieces of one size: a freed piece has room for
the next, whoever's it is. Under many growing buffers the C library's heap would fall into holes.
"""

from __future__ import annotations

_SMALL_BYTES = 4096  # smaller parts are gathered
_PIECE_BYTES = 65536
_OVERHEAD_BYTES = 64  # of a bytes object: its header, its place in a list, the allocator's own


class Body:
    """The bytes of one body so far."""

    __slots__ = ("_gathered", "_pieces", "length")

    def __init__(self) -> None:
        """Start empty."""
        self.length = 0
        self._pieces: list[bytes] = []
        self._gathered = bytearray()

    def add(self, part: bytes) -> None:
        """Append a part."""
        self.length += len(part)
        if len(part) < _SMALL_BYTES:
            self._gathered += part
            if len(self._gathered) >= _PIECE_BYTES:
                self._seal()
        else:
            self._seal()
            self._pieces.append(part)

    @property
    def held(self) -> int:
        """Bytes of memory: what was sent, what objects cost beside it, and what gathering keeps in reserve."""
        reserve = self._gathered.__sizeof__() - len(self._gathered) if self._gathered else 0
        return self.length + reserve + _OVERHEAD_BYTES * len(self._pieces)

    def take(self) -> bytes:
        """Give the whole, and start again."""
        self._seal()
        pieces, self._pieces, self.length = self._pieces, [], 0
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _seal(self) -> None:
        if self._gathered:
            self._pieces.append(bytes(self._gathered))
            self._gathered = bytearray()
