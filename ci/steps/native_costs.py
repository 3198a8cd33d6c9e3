"""Print what the C++ runtime costs beyond digests, kernels, arena and weights, against the limits that it is held to.

.venv/bin/python ci/steps/native_costs.py artifacts/efficientnet-lite0            # after `make native`; 10 s
.venv/bin/python ci/steps/native_costs.py DIR --plain-sha --most                  # exit code 1 where one is above
.venv/bin/python ci/steps/native_costs.py DIR --processor                         # next to other work, too

Each figure is the shortest of a second; with `--processor` in processor time of all threads. With `--plain-sha` digests
are computed without the processor's instructions.
Where `ovenbird_native` is installed, a call from Python is shown, too.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
COSTS = ROOT / "build/native/ovenbird-costs"
LOAD_MS, BINDING_US, RESIDENT_BYTES = 15.0, 10.0, 15e6
"""Limits: loading beyond digests; a call beyond its kernels; memory beyond arena and weights."""


def measure(artifact: str, threads: int, processor: bool, environment: dict[str, str]) -> dict[str, Any]:
    """Return what `ovenbird-costs` prints."""
    words = [str(COSTS), artifact, str(threads), *(["processor"] if processor else [])]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=os.environ | environment)
    if done.returncode:
        raise SystemExit(done.stderr.strip())
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def python_call_us(artifact: str, threads: int) -> float | None:
    """Return the shortest call of `ovenbird_native` in a second; None where it is not installed."""
    if importlib.util.find_spec("ovenbird_native") is None:
        return None
    import numpy as np

    model = importlib.import_module("ovenbird_native").load(artifact, threads)
    inputs = {}
    for spec in model.inputs:
        shape = [dim if isinstance(dim, int) else 1 for dim in spec.shape]
        memory = np.zeros(int(np.prod(shape)) * np.dtype(spec.dtype).itemsize + 64, np.uint8)
        start = -memory.ctypes.data % 64
        inputs[spec.name] = memory[start : memory.size - 64 + start].view(spec.dtype).reshape(shape)
    best, end = float("inf"), time.perf_counter() + 1.0
    while time.perf_counter() < end:
        start_s = time.perf_counter()
        model.run(inputs)
        best = min(best, time.perf_counter() - start_s)
    return best * 1e6


def main() -> None:
    """Measure, print, and judge where that is asked for."""
    parser = argparse.ArgumentParser(description="What the C++ runtime costs beyond kernels and weights.")
    parser.add_argument("artifact")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--processor", action="store_true", help="processor time of all threads, not the clock's")
    parser.add_argument("--plain-sha", action="store_true", help="digests without the processor's instructions")
    parser.add_argument("--most", action="store_true", help="exit code 1 where a figure is above its limit")
    given = parser.parse_args()
    if not COSTS.is_file():
        raise SystemExit("error: there is no build/native/ovenbird-costs: make native")
    found = measure(
        given.artifact, given.threads, given.processor, {"OVENBIRD_SHA": "plain"} if given.plain_sha else {}
    )
    rest = found["resident_bytes"] - found["arena_bytes"] - found["weights_bytes"]
    rows = [
        ("load beyond digests, ms", found["load_ms"] - found["digests_ms"], LOAD_MS, found["load_ms"]),
        ("call beyond kernels, us", found["call_us"] - found["kernels_us"], BINDING_US, found["call_us"]),
        ("memory beyond arena and weights, MB", rest / 1e6, RESIDENT_BYTES / 1e6, found["resident_bytes"] / 1e6),
    ]
    python_us = None if given.processor else python_call_us(given.artifact, given.threads)
    if python_us is not None:
        rows.append(("call from Python beyond kernels, us", python_us - found["kernels_us"], BINDING_US, python_us))
    print("| what | found | limit | in all |\n|---|---:|---:|---:|")
    for name, value, limit, total in rows:
        print(f"| {name} | {value:.1f} | {limit:g} | {total:.1f} |")
    if given.most and any(value > limit for _, value, limit, _ in rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
