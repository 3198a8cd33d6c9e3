"""The captioner under load: Apache's `ab` asks our server, batched and one at a time, and transformers behind FastAPI.

    .venv/bin/python ci/captions/load.py artifacts/git_base_textcaps --peer random:7    an hour on two processors
    .venv/bin/python ci/captions/load.py DIR --requests 32 --seconds 500                in pieces: while it ends with 75

Each cell is a server, a number of requests at once, and of requests in all (32 and 256). Those that are not asked are
stopped meanwhile (SIGSTOP). Then the batch size: our server for at most 1, 2, ... 64 sequences, asked by 64 at once. A
cell that the results have is not asked again. Every caption has the same number of tokens. Writes the results, and with
`--page` docs/benchmarks/captions.md and its plots. `ab` shares the processors: compare within one run only.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "ci" / "load"))

from asking import Turn, run_ab  # noqa: E402 - as the scripts of ci/load import one another
from page import write_page  # noqa: E402
from ratios import percentile  # noqa: E402
from servers import Running, Server, free_port  # noqa: E402

from ovenbird.benchmarking.report.machine import processor_name  # noqa: E402

BATCHED, ALONE, PEER = "ovenbird", "ovenbird, one at a time", "transformers + FastAPI"
FIRST_PORT = 8390
UNFINISHED = 75
"""The exit code where time was over: EX_TEMPFAIL of sysexits.h."""
PATIENCE_SECONDS = 600
"""`ab` waits so long for an answer: 64 callers of a server that writes one caption after the other wait for all."""
TIMEOUT_MS = "300000"
"""What our server gives a request at most: the other one refuses nobody."""
WARM_REQUESTS = 4


@dataclass(frozen=True)
class Cell:
    """One measurement; `batch` is set in the sweep."""

    server: str
    concurrency: int
    requests: int
    batch: int = 0

    @property
    def key(self) -> str:
        """Its name in the results."""
        return f"{self.server} | {self.concurrency} at once | {self.requests} requests"


def cells_of(options: argparse.Namespace) -> list[Cell]:
    """Return all cells in the order in which they are measured: who is compared stands side by side."""
    servers = [BATCHED, ALONE, *([PEER] if options.peer else [])]
    found = [
        Cell(server, concurrency, requests)
        for requests in options.requests
        for concurrency in options.concurrency
        if concurrency <= requests
        for server in servers
    ]
    callers = max(options.concurrency)
    return found + [Cell(sweep_name(size), callers, 2 * callers, size) for size in options.sweep]


def sweep_name(size: int) -> str:
    """Return the name of our server for at most so many sequences at a time."""
    return f"ovenbird, at most {size}"


def server_of(name: str, batch: int, port: int, options: argparse.Namespace) -> Server:
    """Return how a server is started and asked."""
    ready = "/v2/health/ready"
    if name == PEER:
        command = [sys.executable, str(Path(__file__).with_name("peer.py")), options.peer, str(port)]
        return Server(name, command, port, f"/predict?max_tokens={options.tokens}", ready)
    model = json.loads((options.artifact / "manifest.json").read_text())["model"]["name"]
    size = {BATCHED: 64, ALONE: 1}.get(name, batch)
    command = [sys.executable, "-m", "ovenbird_runtime", "serve", str(options.artifact), "--no-access-log"]
    command += ["--port", str(port), "--max-batch", str(size), "--hang-seconds", "60"]
    command += ["--timeout-ms", TIMEOUT_MS, "--max-timeout-ms", TIMEOUT_MS]
    return Server(name, command, port, f"/v1/models/{model}:predict?max_tokens={options.tokens}", ready)


class Load:
    """The servers that have been started, and what was found so far."""

    def __init__(self, options: argparse.Namespace, stack: contextlib.ExitStack) -> None:
        self._options, self._stack = options, stack
        self._running: dict[str, Running] = {}
        self.path: Path = options.output / "load.json"
        self.found: dict[str, Any] = json.loads(self.path.read_text()) if self.path.is_file() else {"cells": {}}
        self.found |= {"chip": processor_name(), "processors": len(os.sched_getaffinity(0)), "tokens": options.tokens,
                       "python": platform.python_version(), "precision": precision_of(options.artifact),
                       "engine": "native" if find_spec("ovenbird_native") else "tvm"}  # fmt: skip

    def measure(self, cell: Cell) -> None:
        """Ask one cell's requests, and keep what came."""
        name = cell.server
        running = self._started(cell)
        running.go_on()
        try:
            turn = self._ask(running.server, cell.concurrency, cell.requests)
        finally:
            running.loaded_mib = running.memory_mib()
            running.stop()
        self.found["cells"][cell.key] = figures(cell, turn) | {"memory_mib": round(running.loaded_mib)}
        self.path.write_text(json.dumps(self.found, indent=1) + "\n")
        if cell.batch:  # nobody asks it again
            self._running.pop(name).signal(9)

    def _started(self, cell: Cell) -> Running:
        if cell.server not in self._running:
            port = free_port(FIRST_PORT, [running.server.port for running in self._running.values()])
            server = server_of(cell.server, cell.batch, port, self._options)
            running = self._stack.enter_context(Running.start(server, self._options.output))
            self._ask(server, 1, WARM_REQUESTS)
            running.stop()
            self._running[cell.server] = running
        return self._running[cell.server]

    def _ask(self, server: Server, concurrency: int, requests: int) -> Turn:
        options = self._options
        return run_ab(server, options.image, concurrency, requests, options.output, PATIENCE_SECONDS)


def precision_of(artifact: Path) -> str:
    """Return the precision that an artifact was compiled with."""
    variants: Sequence[Mapping[str, Any]] = json.loads((artifact / "manifest.json").read_text())["variants"]
    return ", ".join(dict.fromkeys(str(variant["precision"]) for variant in variants))


def figures(cell: Cell, turn: Turn) -> dict[str, Any]:
    """Return a cell's result as JSON has it."""
    return {
        "server": cell.server,
        "concurrency": cell.concurrency,
        "requests": turn.requests,
        "batch": cell.batch,
        "seconds": round(turn.seconds, 3),
        "per_second": round(turn.per_second, 3),
        "failed": turn.failed,
        "p50_ms": round(percentile(turn.times_ms, 0.5), 1),
        "p99_ms": round(percentile(turn.times_ms, 0.99), 1),
        "times_ms": turn.times_ms,
    }


def numbers(text: str) -> list[int]:
    """Read `1,8,16`; none of an empty text."""
    return [int(part) for part in text.split(",") if part]


def main(arguments: Sequence[str]) -> int:
    """Measure what is missing; return the exit code."""
    parser = argparse.ArgumentParser(prog="ci/captions/load.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--peer", help="weights of transformers' own model: random:SEED, or its folder [not asked]")
    parser.add_argument("--image", type=Path, default=ROOT / "compile/ovenbird/data/chelsea.jpg")
    parser.add_argument("--requests", type=numbers, default=[32, 256], help="of a cell [32,256]")
    parser.add_argument("--concurrency", type=numbers, default=[1, 8, 16, 64], help="requests at once [1,8,16,64]")
    parser.add_argument("--sweep", type=numbers, default=[1, 2, 4, 8, 16, 32, 64], help="sequences at a time at most")
    parser.add_argument("--tokens", type=int, default=20, help="of each caption [20]")
    parser.add_argument("--seconds", type=float, default=math.inf, help="no cell begins after these; exit code 75")
    parser.add_argument("--page", type=Path, help="write this page, and plots next to it, from the results")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "build/captions", metavar="DIR")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + options.seconds
    with contextlib.ExitStack() as stack:
        load = Load(options, stack)
        for cell in cells_of(options):
            if cell.key in load.found["cells"]:
                continue
            if time.monotonic() > end:
                print("time is over: the same command goes on")
                return UNFINISHED
            load.measure(cell)
            row = load.found["cells"][cell.key]
            print(f"{cell.key:64} {row['per_second']:8.2f}/s  p50 {row['p50_ms']:8.1f} ms  p99 {row['p99_ms']:8.1f} ms"
                  f"  {row['failed']} failed", flush=True)  # fmt: skip
    if options.page:
        write_page(load.found, options.page)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
