"""The parts of a server, which every route may use.

def handler(context: Context, request: Request, call: Call) -> Response: ...
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

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
