"""Permits: who may queue. What cannot be answered in time is refused at once, before it costs anything.

permit = admission.take(rows=1, deadline=now + 2.0)      # raises QueueFull
try: ...
finally: permit.release()

Each model has one, which the event loop alone touches. Invariant: `rows` is the sum of the permits that are out, and
never above the limit, since every permit is released in a `finally`: so the batcher's queue and what `Offload`
prepares for it are bounded too. A permit is a promise: whose turn it is at the processors (`engine/processors.py`) is
decided by it where time is short, and other models' admissions count it.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping

from ...engine.processors import ProcessorShare
from ...engine.promises import Promise
from ...manifest.program import InputSize
from ..errors import DeadlineExceeded, QueueFull
from ..http.errors import BadRequest

# The part of a deadline that an estimate may fill: the rest is for decoding, writing, and being wrong. A machine whose
# neighbours are busy slows down by a third within a second; at 0.9 one accepted request in fifty ran out of time under
# four times the load, at 0.75 none did.
_FILL = 0.75


class Permit:
    """Rows that are counted in, until `release`."""

    __slots__ = ("_admission", "promise", "rows", "size")

    def __init__(self, admission: Admission, rows: int, size: InputSize, promise: Promise) -> None:
        """Made by `Admission.take`."""
        self._admission, self.rows, self.size, self.promise = admission, rows, size, promise

    def release(self) -> None:
        """Count the rows out; a second call does nothing."""
        self._admission.share.withdraw(self.promise)
        self._admission.rows -= self.rows
        self._admission.rows_of[self.size] -= self.rows
        self.rows = 0


class Admission:
    """Counts the rows of one model that have a permit; used from the event loop only."""

    def __init__(
        self, limit: int, seconds_for: Callable[[Mapping[InputSize, int]], float], share: ProcessorShare
    ) -> None:
        """Allow `limit` rows; `seconds_for({size: rows})` estimates how long so many take all processors, of which the
        model has a `share`.
        """
        self._limit, self._seconds_for, self.share = limit, seconds_for, share
        self.rows = 0
        self.rows_of: Counter[InputSize] = Counter()

    def take(self, rows: int, deadline: float, size: InputSize = ()) -> Permit:
        """Return a permit for `rows` of one image size, or whatever else decides what rows cost.

        Raises QueueFull, DeadlineExceeded, BadRequest.

        Where nothing else of the model is waiting a request is taken whatever the estimate says, so that a wrong
        estimate cannot lock everybody out.
        """
        left = deadline - time.monotonic()
        if left <= 0:
            raise DeadlineExceeded("the request's time was over before it could be queued")
        if rows > self._limit:
            raise BadRequest(f"the request has {rows} images, the queue holds {self._limit} (--queue)")
        after = self.rows + rows
        if after > self._limit:
            raise QueueFull(f"{self.rows} images are waiting, limit {self._limit} (--queue)", self._pause())
        same = self.rows_of[size] + rows
        own = self._seconds_for({size: same}) * rows / same  # a part of what they take together, in whatever batches
        if self.rows and (seconds := self.share.needed(own, deadline)) > left * _FILL:
            raise QueueFull(
                f"{self.rows} images are waiting and with what other models do would take {seconds:.2f} s, "
                f"this request allows {left:.2f} s (X-Request-Timeout-Ms)",
                self._pause(),
            )
        self.rows = after
        self.rows_of[size] += rows
        return Permit(self, rows, size, self.share.promise(own, deadline))

    def _pause(self) -> float:
        return max(1.0, math.ceil(self._seconds_for(self.rows_of) / 2))
