"""The parts of a server, which every route may use.

def handler(context: Context, request: Request, call: Call) -> Response: ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..dataclass import dataclass

if TYPE_CHECKING:
    from .http.account import Account
    from .lifecycle import Lifecycle
    from .models.slots import Slots
    from .offload import Offload
    from .settings import Settings
    from .telemetry.logs import Log
    from .telemetry.metrics import Metrics


@dataclass(frozen=True)
class Context:
    """One server's parts."""

    settings: Settings
    metrics: Metrics
    log: Log
    slots: Slots
    offload: Offload
    lifecycle: Lifecycle
    account: Account

    def seconds_for(self, asked: float | None) -> float:
        """Return a request's time: what it asks for, as far as it may, else the operator's or what models need."""
        limits = self.settings.limits
        most = limits.max_timeout_ms / 1000
        if asked is not None:
            return min(asked, most)
        return min(self.slots.usual_seconds, most) if limits.timeout_ms is None else limits.timeout_ms / 1000
