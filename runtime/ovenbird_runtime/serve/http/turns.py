"""The buffer that all connections read into, of which they get less where a read is much work.

    reading = ReadBuffer(loop)
    reading.room(dense=False)               # 64 KiB, and less once this turn of the loop has done enough
    dense = reading.spent(nbytes=65536, parts=9000)

One read of 64 KiB is a few microseconds' work where it is a piece of a picture, and ten milliseconds' where it is nine
thousand chunks of two bytes. The loop reads once from each connection in a turn: a thousand of the second kind would
keep everybody else waiting, the liveness probe too, for seconds. What is not read now stays in the kernel.
"""

from __future__ import annotations

import asyncio

_READ_BYTES, _DENSE_BYTES = 65536, 8192
_BUSY_READ_BYTES, _BUSY_DENSE_BYTES = 4096, 128
_TURN_PARTS = 2048  # about two milliseconds
_DENSE = 32  # bytes a part


class ReadBuffer:
    """Memory for one read; used from the event loop only, and empty again before anyone else reads."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Serve the connections of `loop`."""
        self.memory = memoryview(bytearray(_READ_BYTES))
        self._loop, self._parts = loop, 0

    def room(self, dense: bool) -> memoryview:
        """Return the memory for one read of a connection, whose last one was `dense` or not."""
        if self._parts < _TURN_PARTS:
            return self.memory[: _DENSE_BYTES if dense else _READ_BYTES]
        return self.memory[: _BUSY_DENSE_BYTES if dense else _BUSY_READ_BYTES]

    def spent(self, nbytes: int, parts: int) -> bool:
        """Count what the parser gave for one read; return whether that was dense."""
        if not self._parts and parts:
            self._loop.call_soon(self._end_turn)  # runs before what the next turn reads
        self._parts += parts
        return nbytes < _DENSE * parts

    def _end_turn(self) -> None:
        self._parts = 0
