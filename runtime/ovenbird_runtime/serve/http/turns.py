"""The buffer that all connections read into, which grows small while a turn of the event loop has done enough.

    reading = ReadBuffer(loop)
    reading.room()              # 64 KiB, or 1 KiB once this turn's parts are many
    reading.spent(parts=9000)   # what the parser made of it

One read of 64 KiB is a few microseconds' work where it is a piece of a picture, and some milliseconds' where it is nine
thousand chunks of two bytes. The loop reads once from each connection in a turn: a thousand of the second kind would
keep everybody else waiting, the liveness probe too, for seconds. What is not read now stays in the kernel.
"""

from __future__ import annotations

import asyncio

_READ_BYTES = 65536
_LITTLE_BYTES = 1024
_TURN_PARTS = 2048  # about a millisecond


class ReadBuffer:
    """Memory for one read; used from the event loop only, and empty again before anyone else reads."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Serve the connections of `loop`."""
        self.memory = memoryview(bytearray(_READ_BYTES))
        self._loop, self._parts = loop, 0

    def room(self) -> memoryview:
        """Give the memory for one read."""
        return self.memory if self._parts < _TURN_PARTS else self.memory[:_LITTLE_BYTES]

    def spent(self, parts: int) -> None:
        """Count what the parser gave for one read."""
        if not self._parts and parts:
            self._loop.call_soon(self._end_turn)  # runs before what the next turn reads
        self._parts += parts

    def _end_turn(self) -> None:
        self._parts = 0
