"""One request, over HTTP or over gRPC: its deadline, what its time went into, and its end, which is written down here.

call = Call(started=time.monotonic())
call.allow(context.seconds_for(None), call.started)     # the server's own time
call.spent("decode", 0.004)
call.finish(context)                            # or call.finish(context, error)
"""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import field
from typing import TYPE_CHECKING, Any, Literal

from ..dataclass import dataclass
from ..errors import one_line
from .errors import is_our_failure, public_type, status_of
from .telemetry.metric_names import (
    CANCELLED,
    DECODE,
    MODEL_REQUESTS,
    MODEL_SECONDS,
    POSTPROCESS,
    PREPROCESS,
    REJECTED,
    REQUEST_SECONDS,
    REQUESTS,
)

if TYPE_CHECKING:
    from .context import Context
    from .models.batcher import Pending
    from .models.deployment import Deployment
    from .telemetry.metrics import Metrics
    from .telemetry.statistics import Statistics

_PATH_CHARS = 200


@dataclass
class Call:
    """What is known of a request; `started` and `deadline` are of `time.monotonic`, `seconds` is by stage."""

    started: float
    protocol: Literal["http", "grpc"] = "http"
    route: str = "none"
    method: str = ""
    path: str = ""
    id: str = ""
    bytes_in: int = 0
    deadline: float = math.inf
    model: str = ""
    images: int = 0
    batch: int = 0
    stage: str = "parse"
    parameters: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    statistics: Statistics | None = None

    def allow(self, seconds: float, since: float) -> None:
        """Set the deadline to `seconds` after `since`."""
        self.deadline = since + seconds

    def answered_by(self, deployment: Deployment) -> None:
        """Count for a model."""
        self.model, self.statistics = deployment.name, deployment.statistics

    def spent(self, stage: str, seconds: float) -> None:
        """Add to a stage's time."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    def took(self, entry: Pending) -> None:
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

    def finish(self, context: Context, error: BaseException | None = None, status: int = 200) -> None:
        """Write down the end of this request: metrics, the model's statistics, log lines. Called once.

        `error` is what it ended with, a CancelledError where its client left; without one `status` is that of HTTP.
        """
        seconds = time.monotonic() - self.started
        http, grpc = (status, "OK") if error is None else status_of(error)
        good, left = http == 200, isinstance(error, asyncio.CancelledError)
        shown = str(http) if self.protocol == "http" else grpc
        metrics = context.metrics
        metrics.add(REQUESTS, 1, self.route, shown)
        metrics.observe(REQUEST_SECONDS, seconds, self.route)
        if left:
            metrics.add(CANCELLED, 1, self.stage)
        elif error is not None:
            metrics.add(REJECTED, 1, public_type(error))
        if self.model:
            metrics.add(MODEL_REQUESTS, 1, self.model, "success" if good else "failure")
            metrics.observe(MODEL_SECONDS, seconds, self.model)
        if self.statistics is not None:
            self.statistics.answered(self.seconds, seconds, good)
        if error is not None and is_our_failure(error):
            context.log.write(
                "failure", "error", **self._identity(), type=type(error).__name__, error=one_line(str(error))
            )
        if context.settings.access_log:
            self._log(context, shown, http, seconds, None if left else error)

    def _log(self, context: Context, shown: str, http: int, seconds: float, error: BaseException | None) -> None:
        stages = {stage: round(spent * 1000, 2) for stage, spent in self.seconds.items()}
        context.log.write(
            "request",
            "info" if http < 500 else "warning",
            **self._identity(),
            route=self.route,
            method=self.method,
            path=one_line(self.path[:_PATH_CHARS]),
            status=http if self.protocol == "http" else shown,
            ms=round(seconds * 1000, 2),
            bytes_in=self.bytes_in,
            **({"model": self.model, "images": self.images, "batch": self.batch} if self.model else {}),
            **({"stages_ms": stages} if stages else {}),
            **({"error": type(error).__name__} if error is not None else {}),
        )

    def _identity(self) -> dict[str, Any]:
        return {"request_id": self.id} if self.id else {}
