"""What every route may use, and what one request has learned about itself.

def handler(context: Context, request: Request, call: Call) -> Response: ...
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .errors import BadRequest
from .settings import Settings
from .telemetry.metric_names import DECODE, POSTPROCESS, PREPROCESS

if TYPE_CHECKING:
    from .account import Account
    from .lifecycle import Lifecycle
    from .models.batcher import Entry
    from .models.deployment import Deployment
    from .models.slots import Slots
    from .preparation import Preparation
    from .telemetry.logs import Log
    from .telemetry.metrics import Metrics
    from .telemetry.statistics import Statistics


@dataclass(frozen=True)
class Context:
    """The server's parts."""

    settings: Settings
    metrics: Metrics
    log: Log
    slots: Slots
    preparation: Preparation
    lifecycle: Lifecycle
    account: Account


@dataclass
class Call:
    """One request's way: its deadline (of `time.monotonic`), and the seconds it spent in each stage."""

    deadline: float
    model: str = ""
    images: int = 0
    batch: int = 0
    stage: str = "parse"
    parameters: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    statistics: Statistics | None = None

    def answers(self, deployment: Deployment) -> None:
        """Be answered by a model."""
        self.model, self.statistics = deployment.name, deployment.statistics

    def spent(self, stage: str, seconds: float) -> None:
        """Add to a stage's time."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    def took(self, entry: Entry) -> None:
        """Take over a batch's times."""
        self.spent("queue", entry.started - entry.queued)
        self.spent("compute", entry.finished - entry.started)
        self.batch = max(self.batch, entry.batch)

    def count(self, metrics: Metrics, images: int = 1) -> None:
        """Put the stages that are counted by request, not by batch, into the histograms."""
        for stage, name in (("decode", DECODE), ("preprocess", PREPROCESS), ("postprocess", POSTPROCESS)):
            if stage in self.seconds:
                metrics.observe(name, self.seconds[stage] / max(1, images), self.model)

    def server_timing(self, total: float) -> str:
        """Return the Server-Timing header, in ms."""
        parts = [f"{stage};dur={seconds * 1000:.2f}" for stage, seconds in self.seconds.items()]
        return ", ".join([*parts, f"total;dur={total * 1000:.2f}"])


def deadline_of(header: str, started: float, settings: Settings) -> float:
    """Read X-Request-Timeout-Ms (empty: the default) as a deadline. Raises BadRequest."""
    limits = settings.limits
    if not header:
        return started + limits.timeout_ms / 1000
    if not (header.isascii() and header.isdigit() and len(header) < 10) or int(header) < 1:
        raise BadRequest(f"X-Request-Timeout-Ms is {header[:20]!r}, expected 1 to {limits.max_timeout_ms}")
    return started + min(int(header), limits.max_timeout_ms) / 1000
