"""A client in a process of its own that asks at a steady, small rate and times every answer.

    with observing(port, "/v1/models/tiny:predict", jpeg, per_second=30) as seen:
        flood()                                  # in this process: it takes no time from the observer's
    seen.times({429, 503})                       # ms, sorted

A generator of many threads waits for its own interpreter, and would count that as the server's time.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field


@dataclass
class Seen:
    """Answers as (time.monotonic() of the request, status, ms); status 0: none. Filled when the observer has ended."""

    answers: list[tuple[float, int, float]] = field(default_factory=list)

    def times(self, statuses: Collection[int]) -> list[float]:
        """Return the ms of the answers with one of `statuses`, sorted."""
        return sorted(ms for _, status, ms in self.answers if status in statuses)


@contextlib.contextmanager
def observing(port: int, path: str, body: bytes, per_second: float = 30, threads: int = 8) -> Iterator[Seen]:
    """Observe while the block runs: `per_second` requests over `threads` connections, which are kept alive."""
    command = [sys.executable, __file__, str(port), path, str(per_second), str(threads), str(len(body))]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    seen = Seen()
    try:
        process.stdin.write(body)
        process.stdin.flush()
        assert process.stdout.readline() == b"ready\n"
        yield seen
    finally:
        output, _ = process.communicate()  # the end of its input is its end
        seen.answers = [(at, status, ms) for at, status, ms in json.loads(output)]


def _ask(port: int, request: bytes, every: float, first: float, stop: threading.Event, found: list[object]) -> None:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    due = time.monotonic() + first
    while not stop.wait(max(0.0, due - time.monotonic())):
        start = time.monotonic()
        due = max(due + every, start)
        try:
            if client.sock is None:
                client.connect()
                start = time.monotonic()
            client.sock.sendall(request)
            response = http.client.HTTPResponse(client.sock, method="POST")
            response.begin()
            response.read()
            status = response.status
            if response.will_close:
                client.close()
        except (OSError, http.client.HTTPException):
            client.close()
            status = 0
        found.append((start, status, (time.monotonic() - start) * 1000))
    client.close()


def _main(port: str, path: str, per_second: str, threads: str, size: str) -> None:
    body = sys.stdin.buffer.read(int(size))
    kind = "Content-Type: application/octet-stream"
    head = f"POST {path} HTTP/1.1\r\nHost: observer\r\n{kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    found: list[object] = []
    stop, count, rate = threading.Event(), int(threads), float(per_second)
    arguments = (int(port), head.encode() + body, count / rate)
    workers = [threading.Thread(target=_ask, args=(*arguments, i / rate, stop, found)) for i in range(count)]
    for worker in workers:
        worker.start()
    print("ready", flush=True)
    sys.stdin.buffer.read()
    stop.set()
    for worker in workers:
        worker.join()
    sys.stdout.write(json.dumps(found))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    _main(*sys.argv[1:])
