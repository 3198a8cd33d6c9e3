"""What the server adds to the network's own time, one request at a time: from the header Server-Timing of each answer.

    timings = ask_one_by_one(server, [Path("photo.jpg")], count=100)
    own_cost(timings)["share"]          # own cost over compute, medians

`total` runs from the moment the whole request is there to the moment its answer is; own = total - compute. What the
client sees is longer by the connection, the kernel, and the client's own time.
"""

from __future__ import annotations

import http.client
import re
import socket
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from servers import Server

_ENTRY = re.compile(r"(\w+);dur=([\d.]+)")


def ask_one_by_one(server: Server, photos: Sequence[Path], count: int) -> list[dict[str, float]]:
    """Send the photographs in turn over one kept-alive connection; return each answer's stages and `client`, in ms."""
    bodies = [photo.read_bytes() for photo in photos]
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    found = []
    for index in range(count):
        start = time.perf_counter()
        connection.request("POST", server.path, bodies[index % len(bodies)], {"Content-Type": "image/jpeg"})
        response = connection.getresponse()
        response.read()
        took = (time.perf_counter() - start) * 1000
        if response.status != 200:
            raise SystemExit(f"{server.name} answered {response.status} to {photos[index % len(photos)]}")
        stages = {name: float(value) for name, value in _ENTRY.findall(response.getheader("Server-Timing") or "")}
        found.append(stages | {"client": took})
    connection.close()
    return found


def own_cost(timings: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Return medians in ms: compute, own cost (whole and by stage), what the client saw, and own over compute."""
    stages = sorted({name for timing in timings for name in timing} - {"total", "client", "compute"})
    compute = statistics.median(timing["compute"] for timing in timings)
    own = statistics.median(timing["total"] - timing["compute"] for timing in timings)
    by_stage = {name: statistics.median(timing.get(name, 0.0) for timing in timings) for name in stages}
    by_stage["rest"] = statistics.median(
        timing["total"] - timing["compute"] - sum(timing.get(name, 0.0) for name in stages) for timing in timings
    )
    return {
        "requests": len(timings),
        "compute_ms": round(compute, 3),
        "own_ms": round(own, 3),
        "share": round(own / compute, 4),
        "stages_ms": {name: round(value, 3) for name, value in by_stage.items()},
        "client_ms": round(statistics.median(timing["client"] for timing in timings), 3),
    }
