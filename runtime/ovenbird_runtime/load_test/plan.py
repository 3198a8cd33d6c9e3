"""What a load test sends, and what it measures of each request.

LoadPlan(workers=2, threads=8, seconds=10.0).concurrency        # 16
"""

from __future__ import annotations

from ..dataclass import dataclass
from ..errors import OvenbirdError
from ..limits import LOAD_ANSWER_SECONDS

Sample = tuple[float, int, float]
"""When it was sent (seconds from the start), its status (0: no answer), and its seconds."""


@dataclass(frozen=True)
class LoadPlan:
    """How much to send: `samples` for each thread or for `seconds`; `rate` in requests/s makes an open loop.

    `answer_seconds` is how long an answer may take, to its last byte.
    """

    workers: int = 1
    threads: int = 1
    samples: int | None = None
    seconds: float | None = None
    rate: float | None = None
    answer_seconds: float = LOAD_ANSWER_SECONDS

    @property
    def concurrency(self) -> int:
        """Requests that may be under way at one time."""
        return self.workers * self.threads


class LoadFailed(OvenbirdError):
    """The load could not be sent to its end; what was seen until then is in `samples`, and how long in `seconds`."""

    def __init__(self, message: str, samples: list[Sample], seconds: float) -> None:
        super().__init__(message)
        self.samples, self.seconds = samples, seconds


class WorkerDied(LoadFailed):
    """A process of the generator ended, or stopped, before its work did."""


class ServerSilent(LoadFailed):
    """The server gave no answers any more: it died, hangs, or does not speak HTTP."""
