"""Where the time goes: every compiled function of an artifact, timed by TVM's instrument, against the machine's limits.

    python -m ovenbird.benchmarking.layer_profile ARTIFACT INPUTS.npz BATCH THREADS RUNS [VARIANT]   # JSON, a row each

The artifact's own library and weights run in a Relax VM of the compiler's TVM; a clock is read before and after a call.
`explain` then rates each function against the measured arithmetic and memory limits, and names what holds it back.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ovenbird.measure.tvm_alone import import_tvm_alone

GOOD_SHARE = 0.8
"""A layer below this share of the arithmetic limit is listed with its reason."""
BOUND_SHARE = 0.6
"""A layer that moves its bytes at this share of the memory limit is held back by memory."""
SHORT_MS = 0.03
"""Below this, starting the threads and the call itself are a large part of the time."""


def measure(artifact: Path, inputs: Path, batch: int, runs: int, name: str | None = None) -> list[dict[str, Any]]:
    """Return each function's calls a run, median milliseconds of all its calls in a run, and bytes that it touches; of
    the variant `name`, else of the one that is best here.
    """
    import numpy as np  # only here: `main` has set the processors that its libraries count
    import tvm
    from tvm import relax

    from ovenbird_runtime.artifact.artifact import open_artifact
    from ovenbird_runtime.artifact.variant import choose_variant
    from ovenbird_runtime.machine.cpu import this_machine

    opened = open_artifact(artifact)
    variant, target = choose_variant(opened, "cpu", this_machine(), name)
    entry = next(entry for entry in target.entries if entry.batch == batch)
    machine = relax.VirtualMachine(tvm.runtime.load_module(str(opened.root / variant.path / "model.so")), tvm.cpu())

    def weight(index: int) -> Any:
        tensor = target.tensors[index]
        count = int(np.prod(tensor.shape, dtype=np.int64))
        found = np.fromfile(opened.root / tensor.file, tensor.dtype, count, offset=tensor.offset)
        return tvm.runtime.tensor(found.reshape(tensor.shape))

    with np.load(inputs, allow_pickle=False) as archive:
        arrays = [tvm.runtime.tensor(archive[name]) for name in archive.files]
    arguments = [*arrays, *(weight(index) for index in entry.weights)]
    calls: list[tuple[str, float]] = []
    touched: dict[str, int] = {}
    results: dict[str, list[int]] = {}
    began = [0.0]

    def follow(function: Any, name: str, before: bool, answer: Any, *given: Any) -> int:
        if before:
            if name not in touched:
                touched[name] = sum(map(tensor_bytes, given))
                results[name] = [int(extent) for extent in getattr(given[-1], "shape", None) or ()] if given else []
            began[0] = time.perf_counter()
        else:
            calls.append((name, time.perf_counter() - began[0]))
        return 0

    for _ in range(3):
        machine[entry.function](*arguments)
    machine.set_instrument(follow)
    by_run: list[dict[str, list[float]]] = []
    for _ in range(runs + 1):
        calls.clear()
        machine[entry.function](*arguments)
        times: dict[str, list[float]] = {}
        for name, taken in calls:
            times.setdefault(name, []).append(taken)
        by_run.append(times)
    return [
        {
            "name": name,
            "calls": len(first),
            "ms": statistics.median(sum(run[name]) for run in by_run[1:]) * 1e3,
            "bytes": touched[name] * len(first),
            "output": results[name],
        }
        for name, first in by_run[0].items()
    ]


def tensor_bytes(value: Any) -> int:
    """Return the bytes of a tensor argument; 0 for anything else."""
    shape, dtype = getattr(value, "shape", None), str(getattr(value, "dtype", ""))
    if shape is None or not dtype:
        return 0
    bits = int("".join(c for c in dtype if c.isdigit()) or 8)
    count = 1
    for extent in shape:
        count *= int(extent)
    return count * bits // 8


def explain(rows: list[dict[str, Any]], layers: Mapping[str, Any], limits: Mapping[str, float]) -> list[dict[str, Any]]:
    """Add kind, shape, GFLOP/s, GB/s, the share of the arithmetic limit, and a reason where that share is small.

    The slowest come first; what the VM itself does (memory, shapes) is one row. `limits`: `gflops` and `gbytes_per_s`,
    see `limits.py`. A Winograd layer is rated by the arithmetic of the direct convolution in its place, so that it can
    exceed the limit.
    """
    total = sum(row["ms"] for row in rows) or 1.0
    explained = []
    for row in sorted(_merged(rows, layers), key=lambda row: -float(row["ms"])):
        layer = layers.get(row["name"], {})
        seconds = max(row["ms"], 1e-6) / 1e3
        flops = direct_flops(layer, row["output"]) * row["calls"]
        shared = {
            **row,
            "time_share": row["ms"] / total,
            "kind": layer.get("kind", row["name"]),
            "shape": row["output"] if layer else [],
            "source": layer.get("source", ""),
            "gflops": flops / seconds / 1e9,
            "gbytes_per_s": row["bytes"] / seconds / 1e9,
            "limit_share": flops / seconds / 1e9 / limits["gflops"],
        }
        explained.append({**shared, "reason": reason(shared, limits) if layer else ""})
    return explained


def _merged(rows: list[dict[str, Any]], layers: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows with all those that are no compiled layer as one; no row changes where layers are unknown."""
    builtins = [row for row in rows if layers and row["name"] not in layers]
    if not builtins:
        return rows
    whole = {key: sum(row[key] for row in builtins) for key in ("calls", "ms")}
    return [row for row in rows if row not in builtins] + [{"name": "the VM's own", "bytes": 0, "output": [], **whole}]


def direct_flops(layer: Mapping[str, Any], output: list[int]) -> float:
    """Return the operations that a layer stands for: of a Winograd layer, those of the direct 3x3 convolution.

    Winograd's anchor is [points, points, channels / block, tiles, block] and does points^2 x tiles products for each
    pair of channels, where direct convolution does 9 for each place of the output [N, channels / block, H, W, block].
    """
    flops = float(layer.get("flops", 0))
    if "winograd" not in layer.get("kind", "") or len(output) != 5:
        return flops
    points, _, _, tiles, _ = layer["shape"]
    places = output[0] * output[2] * output[3]
    return flops * 9 * places / int(points * points * tiles)


def reason(row: Mapping[str, Any], limits: Mapping[str, float]) -> str:
    """Return what holds a function back that stays below GOOD_SHARE of the arithmetic limit; nothing for the others."""
    if row["limit_share"] >= GOOD_SHARE:
        return ""
    at = f"{row['gbytes_per_s']:.0f} of {limits['gbytes_per_s']:.0f} GB/s"
    memory_share = row["gbytes_per_s"] / limits["gbytes_per_s"]
    each = row["ms"] / row["calls"]
    if memory_share >= BOUND_SHARE:
        return f"memory: moves its data at {at}"
    if each < SHORT_MS:
        return f"short: {each * 1e3:.0f} µs a call, of which starting the threads is a good part"
    if not row["gflops"]:
        return f"no arithmetic to rate: moves its data at {at}"
    if row["kind"].startswith("depthwise"):
        return f"depthwise: a few multiply-adds for each value loaded, so loads set the pace; memory at {at}"
    if row["limit_share"] + memory_share >= GOOD_SHARE:
        arithmetic, memory = row["limit_share"] * each, memory_share * each
        return f"arithmetic {arithmetic:.2f} ms and memory {memory:.2f} ms at their limits, one after the other"
    return f"its schedule: {row['limit_share'] * 100:.0f} % of the limit, memory at {at}"


def main(arguments: list[str]) -> int:
    """Measure and print JSON."""
    artifact, inputs, batch, threads, runs, *variant = arguments
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(threads)])
    import_tvm_alone()
    print(json.dumps({"rows": measure(Path(artifact), Path(inputs), int(batch), int(runs), *variant)}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
