"""Time an artifact and the same network in ONNX Runtime, in one process, in blocks of calls in turn.

    python ci/networks/timing.py FOLDER THREADS         # the folder is what ovenbird.benchmarking.preparing wrote

Prints one line of JSON. A time is the shortest of all calls. With one thread it is the processor's, which says the same
on a machine with other work; with more threads it is the clock's, and nothing else should run meanwhile.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ovenbird.benchmarking.engines import OWN, find_engine
from ovenbird.benchmarking.jobs import Job

BLOCKS, CALLS, SECONDS = 9, 20, 0.3
"""Blocks of each side, and in a block: calls at most, seconds of its clock at most."""
PAUSE_SECONDS = 0.02
"""Between blocks: threads of the other side stop waiting for work."""


def main(arguments: list[str]) -> int:
    """Time both and print the result."""
    folder, threads = Path(arguments[0]), int(arguments[1])
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])
    import numpy as np  # only now: its libraries count the processors when they are loaded

    from ovenbird.benchmarking.agreement import Expected

    job = Job(OWN, str(folder), 1, threads)
    with np.load(job.inputs, allow_pickle=False) as archive:
        inputs = {name: np.ascontiguousarray(archive[name]) for name in archive.files}
    expected = Expected.read(folder, 1)
    clock = time.process_time if threads == 1 else time.perf_counter
    calls: dict[str, Callable[[], object]] = {}
    for name in (OWN, "ort"):
        engine = find_engine(name)
        engine.load()
        run = engine.start(job)
        expected.check(name, run(inputs))
        calls[name] = lambda run=run: run(inputs)  # type: ignore[misc]
    blocks: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(BLOCKS):
        for name in sorted(calls, reverse=bool(turn % 2)):
            blocks[name].append(block(calls[name], clock))
    low, _, high = statistics.quantiles([a / b for a, b in zip(blocks[OWN], blocks["ort"], strict=True)], n=4)
    print(json.dumps({"ours_s": min(blocks[OWN]), "theirs_s": min(blocks["ort"]), "quartiles": [low, high]}))
    sys.stdout.flush()
    os._exit(0)  # some engines' threads take seconds to end


def block(call: Callable[[], object], clock: Callable[[], float]) -> float:
    """Return the shortest of some calls."""
    time.sleep(PAUSE_SECONDS)
    shortest, end = float("inf"), clock() + SECONDS
    for _ in range(CALLS):
        start = clock()
        call()
        shortest = min(shortest, clock() - start)
        if clock() > end:
            break
    return shortest


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
