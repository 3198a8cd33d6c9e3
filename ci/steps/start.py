"""Time the start to the first answer, with and without the processor's SHA instructions, against ONNX Runtime.

    .venv/bin/ovenbird bench resnet50 --threads 1 --peers ort --rounds 1 --no-footprint --work build/bench
    .venv/bin/python ci/steps/start.py build/bench/resnet50          # the folder of a network; half a minute

Each start is a fresh process, the two sides in turn. A start is the engine's import, its load, and one run. Prints the
shortest of wall clock and of processor time, in milliseconds, and the ratios. `OPENSSL_ia32cap` hides the SHA
instructions from Python's hashlib; what BLAKE3 checks does not change by it. Python may keep what it compiles of a
checkout, as it does of installed packages.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from ovenbird.benchmarking.worker_processes import worker_environment

MASKS = {"all instructions": {}, "SHA masked": {"OPENSSL_ia32cap": ":~0x20000000"}}
"""What OpenSSL is told of the processor: bit 29 of leaf 7's EBX are the SHA instructions."""


def child(folder: str, name: str, threads: int) -> None:
    """Start one engine in this process and print what it took."""
    from ovenbird.benchmarking.engines import find_engine
    from ovenbird.benchmarking.jobs import Job

    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])
    engine, job = find_engine(name), Job(name, folder, 1, threads)
    with np.load(job.inputs, allow_pickle=False) as archive:
        inputs = {key: np.ascontiguousarray(archive[key]) for key in archive.files}
    clock, processor = time.perf_counter(), time.process_time()
    engine.load()
    engine.start(job)(inputs)
    print(json.dumps([time.perf_counter() - clock, time.process_time() - processor]), flush=True)
    os._exit(0)


def start(folder: Path, name: str, threads: int, mask: dict[str, str]) -> tuple[float, float]:
    """Return the seconds of a fresh process's start: wall clock, processor."""
    command = [sys.executable, __file__, str(folder), "--child", name, "--threads", str(threads)]
    environment = worker_environment(threads) | mask
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    wall, processor = json.loads(done.stdout.splitlines()[-1])
    return float(wall), float(processor)


def main() -> int:
    """Time all and print the table."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("folder", type=Path, help="a network's folder that `ovenbird bench --work` wrote")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(str(options.folder), options.child, options.threads)
    print("| processor | ours, ms | ONNX Runtime, ms | ratio | ours, ms of processor | ONNX Runtime | ratio |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for label, mask in MASKS.items():
        found: dict[str, list[tuple[float, float]]] = {"ovenbird": [], "ort": []}
        for turn in range(options.rounds):
            for name in sorted(found, reverse=bool(turn % 2)):
                found[name].append(start(options.folder, name, options.threads, mask))
        cells = []
        for ours, theirs in zip(*(map(min, zip(*times, strict=True)) for times in found.values()), strict=True):
            cells += [f"{ours * 1e3:.0f}", f"{theirs * 1e3:.0f}", f"{ours / theirs:.2f}"]
        print(f"| {label} | {' | '.join(cells)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
