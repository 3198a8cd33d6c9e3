"""gRPC's messages within a stream of bytes: a flag, four bytes of length, and the message.

    inbox = Inbox(limit=10 << 20)
    inbox.feed(data)                    # raises BodyTooLarge as soon as a length says so
    message = inbox.take()              # None: not whole yet

An inbox belongs to one call, on the event loop. Invariant: it never holds more than one message of `limit` bytes and
the next one's prefix. https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""

from __future__ import annotations

from ..http.errors import BadRequest, BodyTooLarge

_PREFIX_BYTES = 5


class Inbox:
    """What one stream has sent and nobody has taken yet, in one block of memory."""

    __slots__ = ("_data", "_limit")

    def __init__(self, limit: int) -> None:
        """Hold messages of at most `limit` bytes, and no more than one beyond the first."""
        self._data, self._limit = bytearray(), limit

    def __len__(self) -> int:
        """Return the bytes that are held."""
        return len(self._data)

    def feed(self, data: bytes) -> None:
        """Add bytes. Raises BodyTooLarge, BadRequest."""
        self._data += data
        length = self._length()
        if length is not None and length > self._limit:
            raise BodyTooLarge(f"the message has {length} bytes, limit {self._limit} (--max-body-bytes)")
        if len(self._data) > self._limit + 2 * _PREFIX_BYTES:
            raise BodyTooLarge(f"more than {self._limit} bytes wait to be read, the limit (--max-body-bytes)")
        if self._data and self._data[0] > 1:
            raise BadRequest(f"a gRPC message begins with the flag {self._data[0]}, expected 0 or 1")

    @property
    def unfinished(self) -> bool:
        """Whether a message has begun and is not whole."""
        length = self._length()
        return bool(self._data) and (length is None or len(self._data) < _PREFIX_BYTES + length)

    def take(self) -> tuple[bool, bytearray] | None:
        """Return (is it compressed, the message), or None where none is whole."""
        length = self._length()
        if length is None or len(self._data) < _PREFIX_BYTES + length:
            return None
        packed = bool(self._data[0])
        whole = self._data
        if len(whole) == _PREFIX_BYTES + length:  # as good as always: no copy
            self._data = bytearray()
            del whole[:_PREFIX_BYTES]
            return packed, whole
        message = whole[_PREFIX_BYTES : _PREFIX_BYTES + length]
        del whole[: _PREFIX_BYTES + length]
        return packed, message

    def clear(self) -> None:
        """Let go of everything."""
        self._data = bytearray()

    def _length(self) -> int | None:
        return int.from_bytes(self._data[1:_PREFIX_BYTES], "big") if len(self._data) >= _PREFIX_BYTES else None


def framed(message: bytes) -> bytes:
    """Return a message with its prefix, not compressed."""
    return b"\0" + len(message).to_bytes(4, "big") + message
