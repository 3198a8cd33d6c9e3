"""One turn: Apache's `ab` asks a server, or `ovenbird-rt bench` runs the network in this process's place.

    turn = run_ab(server, body, concurrency=8, count=56, folder)
    turn.per_second, turn.failed, turn.times_ms         # every answered request's time, whole ms, sorted

`ab` sends a number of requests, not for a number of seconds: at the end of a time it would drop what is under way, up
to a whole batch of a server that batches and one image of a server that does not.

What `ab` counts as complete need not be an answer. A status other than 2xx has its (short) time among the others; so
has a connection that the server closed without a word, at 0 ms, which under -l is not even called a failure; and a
server that is not there completes 40,000 requests a second. `read_turn` takes all of them out.
"""

from __future__ import annotations

import csv
import json
import math
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from servers import Server

BOUNDARY = "ovenbird-load"
BATCHES = (1, 2, 4, 8)
LEAST_REQUESTS = 100  # the p99 of twenty turns is then decided by twenty requests, not by ten
LEAST_WAVES = 3  # with one wave of `concurrency` requests, a turn would be all filling and emptying


@dataclass(frozen=True)
class Turn:
    """What was asked, in how many seconds, how much of it failed; the times of what was answered."""

    seconds: float
    requests: int
    failed: int = 0
    times_ms: list[int] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """Answers a second; what failed is none."""
        return (self.requests - self.failed) / self.seconds


def pool(turns: list[Turn]) -> Turn:
    """Put turns together, as if they were one."""
    return Turn(
        sum(turn.seconds for turn in turns),
        sum(turn.requests for turn in turns),
        sum(turn.failed for turn in turns),
        sorted(time for turn in turns for time in turn.times_ms),
    )


def form_of(image: Path, folder: Path) -> Path:
    """Write the picture as a form; return the file."""
    form = folder / "form.bin"
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="image.jpg"\r\n\r\n'
    form.write_bytes(head.encode() + image.read_bytes() + f"\r\n--{BOUNDARY}--\r\n".encode())
    return form


def requests_for(seconds: float, per_second: float, concurrency: int) -> int:
    """Return how many requests fill the seconds at a rate, in whole waves of `concurrency`."""
    return concurrency * max(LEAST_WAVES, math.ceil(max(seconds * per_second, LEAST_REQUESTS) / concurrency))


def run_ab(server: Server, body: Path, concurrency: int, count: int, folder: Path, patience_seconds: int = 60) -> Turn:
    """Send `count` requests, and wait `patience_seconds` for each answer.

    Raises SystemExit where `ab` gives up or nothing is answered.
    """
    table = folder / "ab.tsv"
    table.unlink(missing_ok=True)
    kind = f"multipart/form-data; boundary={BOUNDARY}" if server.form else "image/jpeg"
    command = [
        "ab",
        "-q",
        "-d",
        "-k",
        "-l",
        "-r",
        "-s",
        str(patience_seconds),
        "-n",
        str(count),
        "-c",
        str(concurrency),
    ]
    command += ["-p", str(body), "-T", kind, "-g", str(table), f"http://127.0.0.1:{server.port}{server.path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    turn = read_turn(done.stdout, table.read_text()) if done.returncode == 0 and table.is_file() else None
    if turn is None or turn.failed >= turn.requests:
        reported = (done.stderr.strip().splitlines() or ["all requests failed"])[-1]
        raise SystemExit(f"ab has no answer of {server.name}: {reported}; see {folder / f'server-{server.port}.log'}")
    return turn


def read_turn(report: str, table: str) -> Turn:
    """Read what `ab` printed, and its file of -g: a line a request (`ttime` and `wait` in whole ms), sorted by ttime.

    `wait` is 0 where no first byte of an answer came. Which other lines are failures it does not say: as many of the
    shortest as the report counts are left out, for a refusal takes less time than an answer.
    """

    def number(label: str) -> float:
        match = re.search(rf"^{label}:\s+([\d.]+)", report, re.M)
        return float(match[1]) if match else 0.0

    rows = list(csv.DictReader(table.splitlines(), delimiter="\t"))
    answered = sorted(int(row["ttime"]) for row in rows if int(row["wait"]))
    requests = round(number("Complete requests"))
    counted = round(number("Failed requests") + number("Non-2xx responses"))
    failed = min(max(counted, len(rows) - len(answered)), requests)
    times = answered[len(answered) - (requests - failed) :]
    return Turn(number("Time taken for tests"), requests, failed, times)


def run_in_process(artifact: str, image: Path, seconds: float) -> dict[int, Turn]:
    """Time predictions from the decoded picture without a server, one call after the other; return a turn for each
    batch size, an image counted as a request.
    """
    command = [sys.executable, "-m", "ovenbird_runtime.cli", "bench", artifact, "--image", str(image)]
    command += ["--seconds", f"{seconds:g}", "--json"]
    command += [word for size in BATCHES for word in ("--batch", str(size))]
    reported = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return {
        timing["batch"]: Turn(timing["calls"] * timing["mean_ms"] / 1e3, timing["calls"] * timing["batch"])
        for timing in reported["timings"]
    }
