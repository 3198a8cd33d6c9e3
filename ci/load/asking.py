"""One turn: Apache's `ab` asks a server, or `ovenbird-rt bench` runs the network in this process's place.

    row = run_ab(server, body, concurrency=8, count=200, folder)
    row["per_second"], row["p99_ms"], row["failed"]

`ab` sends a number of requests, not for a number of seconds: at the end of a time it would drop what is under way, up
to a whole batch of a server that batches and one image of a server that does not.
"""

from __future__ import annotations

import csv
import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from servers import Server

BOUNDARY = "ovenbird-load"
BATCHES = (1, 2, 4, 8)
LEAST_REQUESTS = 100  # `ab` reads percentiles of fewer than 50 from beyond its table


def form_of(image: Path, folder: Path) -> Path:
    """Write the picture as a form; give the file."""
    form = folder / "form.bin"
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="image.jpg"\r\n\r\n'
    form.write_bytes(head.encode() + image.read_bytes() + f"\r\n--{BOUNDARY}--\r\n".encode())
    return form


def requests_for(seconds: float, per_second: float, concurrency: int) -> int:
    """Give how many requests fill the seconds at a rate: whole rounds of `concurrency`, and enough for a p99."""
    return concurrency * math.ceil(max(seconds * per_second, LEAST_REQUESTS) / concurrency)


def run_ab(server: Server, body: Path, concurrency: int, count: int, folder: Path) -> dict[str, Any]:
    """Send `count` requests; give requests/s, the times in ms and what went wrong."""
    table = folder / "ab.csv"
    table.unlink(missing_ok=True)
    kind = f"multipart/form-data; boundary={BOUNDARY}" if server.form else "image/jpeg"
    command = ["ab", "-q", "-k", "-l", "-r", "-s", "60", "-n", str(count), "-c", str(concurrency)]
    command += ["-p", str(body), "-T", kind, "-e", str(table), f"http://127.0.0.1:{server.port}{server.path}"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    times = {row[0]: float(row[1]) for row in csv.reader(table.open()) if row[0].isdigit()}

    def number(label: str) -> float:
        match = re.search(rf"^{label}:\s+([\d.]+)", text, re.M)
        return float(match[1]) if match else 0.0

    return {
        "per_second": number("Requests per second"),
        "requests": round(number("Complete requests")),
        "failed": round(number("Failed requests") + number("Non-2xx responses")),
        "p50_ms": times.get("50", 0.0),
        "p99_ms": times.get("99", 0.0),
    }


def run_in_process(artifact: str, image: Path, seconds: float) -> dict[str, Any]:
    """Time predictions from the decoded picture without a server, one call after the other; give images/s of the best
    batch size.
    """
    command = [sys.executable, "-m", "ovenbird_runtime.cli", "bench", artifact, "--image", str(image)]
    command += ["--seconds", f"{seconds:g}", "--json"]
    command += [word for size in BATCHES for word in ("--batch", str(size))]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    best = max(told["timings"], key=lambda timing: timing["images_per_second"])
    return {"batch": best["batch"], "per_second": best["images_per_second"]}
