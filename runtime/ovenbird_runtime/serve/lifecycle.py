"""Starting, ready, draining, stopped: what the server is doing, and whether a balancer should send it work.

    lifecycle.state, lifecycle.live, lifecycle.ready, lifecycle.accepting

`live` False asks for a restart (an engine hangs); `ready` False asks for patience (loading, draining, or a
model unhealthy, which is probed until it is healthy again).
"""

from __future__ import annotations

import asyncio
import time
from enum import Enum
from typing import TYPE_CHECKING

from ..limits import SERVE_PROBE_SECONDS

if TYPE_CHECKING:
    from .models.slots import Slots
    from .telemetry.logs import Log


class State(Enum):
    """The server's states, in their order."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    STOPPED = "stopped"


class Lifecycle:
    """The state, and the watch over the engines."""

    def __init__(self, log: Log) -> None:
        """Begin with starting."""
        self._log = log
        self.state = State.STARTING
        self.started = time.time()
        self.slots: Slots | None = None
        self._unhealthy: set[str] = set()

    def enter(self, state: State) -> None:
        """Go on to a state, with a line in the log."""
        self.state = state
        self._log.write("state", state=state.value)

    @property
    def accepting(self) -> bool:
        """Whether requests for models are taken; while draining, those who are still connected may finish."""
        return self.state in (State.READY, State.DRAINING)

    @property
    def leaving(self) -> bool:
        """Whether the server is about to end."""
        return self.state in (State.DRAINING, State.STOPPED)

    @property
    def live(self) -> bool:
        """Whether the process is worth keeping."""
        return self.slots is None or not any(d.hung for d in self.slots.deployments)

    @property
    def ready(self) -> bool:
        """Whether work should be sent here."""
        return self.state is State.READY and self.slots is not None and all(d.healthy for d in self.slots.deployments)

    async def watch_engines(self) -> None:
        """Say when an engine fails or hangs, and try a failed one again, until cancelled."""
        while True:
            await asyncio.sleep(SERVE_PROBE_SECONDS / 5)
            for deployment in self.slots.deployments if self.slots else []:
                name = deployment.name
                if deployment.healthy and name in self._unhealthy:
                    self._unhealthy.discard(name)
                    self._log.write("engine_recovered", model=name)
                elif not deployment.healthy and name not in self._unhealthy:
                    self._unhealthy.add(name)
                    event = "engine_hung" if deployment.hung else "engine_failing"
                    self._log.write(event, "error", model=name, failures=deployment.failures)
                elif not deployment.healthy and not deployment.hung:
                    await asyncio.sleep(SERVE_PROBE_SECONDS)
                    await asyncio.to_thread(deployment.probe)
