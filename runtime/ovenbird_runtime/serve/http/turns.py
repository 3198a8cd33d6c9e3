"""The buffer that all connections read into, which grows small while a turn of the event loop has done enough.

    reading = ReadBuffer(loop)
    reading.room()              # 64 KiB, and less after turns that were busy
    reading.spent(parts=9000)   # what the parser made of it

One read of 64 KiB is a few microseconds' work where it is a piece of a picture, and some milliseconds' where it is nine
thousand chunks of two bytes. The loop reads once from each connection in a turn: a thousand of the second kind would
keep everybody else waiting, the liveness probe too, for seconds. What is not read now stays in the kernel.
"""

from __future__ import annotations

import asyncio

_READ_BYTES = 65536
_LEAST_BYTES = 1024
_TURN_PARTS = 2048  # about two milliseconds


class ReadBuffer:
    """Memory for one read; used from the event loop only, and empty again before anyone else reads."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Serve the connections of `loop`."""
        self.memory = memoryview(bytearray(_READ_BYTES))
        self._loop, self._parts, self._bytes = loop, 0, _READ_BYTES

    def room(self) -> memoryview:
        """Give the memory for one read."""
        return self.memory[: self._bytes if self._parts < _TURN_PARTS else _LEAST_BYTES]

    def spent(self, parts: int) -> None:
        """Count what the parser gave for one read."""
        if not self._parts and parts:
            self._loop.call_soon(self._end_turn)  # runs before what the next turn reads
        self._parts += parts

    def _end_turn(self) -> None:
        """Read less in the next turn where this one was busy, more where it was not."""
        busy, self._parts = self._parts > _TURN_PARTS, 0
        self._bytes = max(_LEAST_BYTES, self._bytes // 2) if busy else min(_READ_BYTES, self._bytes * 2)
