"""Whether a server still answers while something is done to it.

with Liveness(server) as liveness:
    attack(server)
assert liveness.asked
"""

from __future__ import annotations

import threading
import time

from support.serving import Serving


class Liveness(threading.Thread):
    """Asks whether the server lives, again and again; keeps the longest wait in seconds."""

    def __init__(self, server: Serving) -> None:
        super().__init__(daemon=True)
        self.server, self.worst, self.asked, self._end = server, 0.0, 0, threading.Event()

    def __enter__(self) -> Liveness:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self.join()

    def run(self) -> None:
        while not self._end.is_set():
            start = time.monotonic()
            assert self.server.request("GET", "/v2/health/live")[0] == 200
            self.worst, self.asked = max(self.worst, time.monotonic() - start), self.asked + 1
            self._end.wait(0.02)
