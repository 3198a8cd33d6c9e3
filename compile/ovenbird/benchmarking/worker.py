"""One engine, one network, one process: start, first run, warm-up, timed runs; nothing else lives in it.

    python -m ovenbird.benchmarking.worker JOB.json ANSWER.json OUTPUTS.npz

The processors are limited to as many as the job has threads, so that no engine gets more than another. With `hold`, the
process answers after its first runs and stays, its model loaded, until its standard input ends (to look at its memory).
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ovenbird.benchmarking.engines import Runner, find_engine
from ovenbird.benchmarking.jobs import MIN_RUNS, Answer, Runs, read_job, write_answer

PR_SET_PDEATHSIG = 1
WARM_UP_RUNS, WARM_UP_SECONDS = 3, 0.4


def main(arguments: list[str]) -> int:
    """Do the job and write the answer."""
    end_with_parent()
    job_path, answer_path, outputs_path = map(Path, arguments)
    job = read_job(job_path)
    processors = sorted(os.sched_getaffinity(0))[: job.threads]
    os.sched_setaffinity(0, processors)
    import numpy as np  # only now: its libraries count the processors when they are loaded

    with np.load(job.inputs, allow_pickle=False) as archive:
        inputs = {name: np.ascontiguousarray(archive[name]) for name in archive.files}
    engine = find_engine(job.engine)
    marks = [time.perf_counter()]
    version = engine.load()
    marks.append(time.perf_counter())
    run = engine.start(job)
    marks.append(time.perf_counter())
    outputs = run(inputs)
    marks.append(time.perf_counter())
    kept: dict[str, Any] = {name: np.array(array) for name, array in outputs.items()}
    np.savez(outputs_path, **kept)
    times = [] if job.hold or job.runs.repeat == 0 else timed_runs(run, inputs, job.runs)
    rss, pss = memory()
    write_answer(
        answer_path,
        Answer(
            times_ms=tuple(times),
            import_s=marks[1] - marks[0],
            load_s=marks[2] - marks[1],
            first_s=marks[3] - marks[2],
            process_s=marks[3] - job.started,
            rss_bytes=rss,
            pss_bytes=pss,
            version=version,
        ),
    )
    if job.hold:
        sys.stdin.read()
    sys.stdout.flush()
    os._exit(0)  # some engines' threads take seconds to end, or crash doing so; everything is written


def end_with_parent() -> None:
    """Have the kernel end this process when the one that started it ends, however that comes about."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def timed_runs(run: Runner, inputs: Mapping[str, Any], asked: Runs) -> list[float]:
    """Warm up, then time each run; return milliseconds."""
    start, runs = time.perf_counter(), 0
    while runs < (WARM_UP_RUNS if asked.warmup is None else asked.warmup) or (
        asked.warmup is None and time.perf_counter() - start < WARM_UP_SECONDS
    ):
        run(inputs)
        runs += 1
    times: list[float] = []
    gc.collect()
    gc.disable()
    start = time.perf_counter()
    while len(times) < (asked.repeat or MIN_RUNS) or (
        asked.repeat is None and len(times) < asked.most and time.perf_counter() - start < asked.seconds
    ):
        before = time.perf_counter_ns()
        run(inputs)
        times.append((time.perf_counter_ns() - before) / 1e6)
    gc.enable()
    return times


def memory(process: str = "self") -> tuple[int, int]:
    """Return a process's RSS and PSS in bytes; PSS counts a page shared by n processes 1/n."""
    found = {"Rss": 0, "Pss": 0}
    for line in Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii", errors="replace").splitlines():
        key, _, value = line.partition(":")
        if key in found:
            found[key] = int(value.split()[0]) * 1024
    return found["Rss"], found["Pss"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
