"""What the machine can do, measured by two small kernels that TVM compiles: multiply-adds, and reading memory.

    python -m ovenbird.benchmarking.machine.roofline TARGET THREADS       # {"gflops": 543.1, "gbytes_per_s": 78.4, ...}

`gflops`: chains of independent fused multiply-adds in registers, as many as hide their latency, on every thread.
`int8_gops`, `bf16_gflops`: the same of `vpdpbusd` and of the instruction that multiplies bfloat16, where the target
has them; a product and its addition count two.
`gbytes_per_s`: the sum of an array far larger than the last cache. A program of its own, threads in the environment.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from ovenbird.measure.tvm_alone import import_tvm_alone

if TYPE_CHECKING:
    from ovenbird.targets import TargetSpec
    from ovenbird_runtime.manifest.agreement import Precision

STEPS = 4_000_000
READ_BYTES = 512 * 1024**2
REPEATS = 12


def reading_kernel(lanes: int, threads: int, count: int) -> Any:
    """Return a function of an array [threads, count // threads] that sums each row into [threads, 8 * lanes]."""
    from tvm.script import tirx as T

    width = 8 * lanes
    rows = count // threads // width

    @T.prim_func(private=True)  # type: ignore[untyped-decorator]
    def kernel(
        data: T.Buffer((threads, rows, width), "float32"),  # type: ignore[valid-type]
        out: T.Buffer((threads, width), "float32"),  # type: ignore[valid-type]
    ) -> None:
        for thread in T.parallel(threads):
            sums = T.alloc_buffer((width,), "float32", scope="local")
            for place in T.vectorized(width):
                sums[place] = T.float32(0)
            for row in T.serial(rows):
                for part in T.unroll(8):
                    for lane in T.vectorized(lanes):
                        sums[part * lanes + lane] = sums[part * lanes + lane] + data[thread, row, part * lanes + lane]
            for place in T.vectorized(width):
                out[thread, place] = sums[place]

    return kernel.with_attr("global_symbol", "main")


def seconds(function: Any, *arguments: Any) -> float:
    """Return the least seconds of a call: a limit is what the machine reaches when nothing is in its way."""
    function(*arguments)
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        function(*arguments)
        times.append(time.perf_counter() - start)
    return min(times)


def measure(target: TargetSpec, threads: int) -> dict[str, float]:
    """Compile and time both kernels on `threads` threads."""
    import tvm

    from ovenbird.measure.arithmetic import (
        CHAINS,
        bfloat16_module,
        dot_module,
        multiply_add_module,
        multiply_add_operations,
    )

    lanes = max(target.vector_bits // 32, 1)
    built = target.tvm_target()
    arithmetic = tvm.compile(multiply_add_module(lanes, threads, STEPS), target=built)
    half = tvm.runtime.tensor(np.full(lanes, 0.5, "float32"))
    sums = tvm.runtime.tensor(np.zeros((threads, CHAINS, lanes), "float32"))
    taken = seconds(arithmetic["main"], half, sums)
    gflops = multiply_add_operations(lanes, threads, STEPS) / taken / 1e9

    count = READ_BYTES // 4
    reading = tvm.compile(tvm.IRModule({"main": reading_kernel(lanes, threads, count)}), target=built)
    width = 8 * lanes
    rows = count // threads // width
    array = tvm.runtime.tensor(np.ones((threads, rows, width), "float32"))
    out = tvm.runtime.tensor(np.zeros((threads, width), "float32"))
    taken = seconds(reading["main"], array, out)
    found = {"gflops": gflops, "gbytes_per_s": 4.0 * threads * rows * width / taken / 1e9}
    if ("avx512_vnni" if target.vector_bits == 512 else "avx_vnni") in target.features:
        module = tvm.compile(dot_module(lanes, threads, STEPS), target=built)
        ones = tvm.runtime.tensor(np.full(lanes, 0x01010101, "int32"))
        totals = tvm.runtime.tensor(np.zeros((threads, CHAINS, lanes), "int32"))
        taken = seconds(module["main"], ones, totals)
        found["int8_gops"] = 4 * multiply_add_operations(lanes, threads, STEPS) / taken / 1e9
    wide = "avx512_bf16" in target.features and target.vector_bits == 512
    kind = "bf16" if wide else "bfdot" if target.arch == "aarch64" and "bf16" in target.features else ""
    if kind:
        module = tvm.compile(bfloat16_module(kind, threads, STEPS), target=built)
        ones = tvm.runtime.tensor(np.full(lanes, 0x3F803F80, "int32"))
        totals = tvm.runtime.tensor(np.zeros((threads, CHAINS, lanes), "float32"))
        taken = seconds(module["main"], ones, totals)
        found["bf16_gflops"] = 2 * multiply_add_operations(lanes, threads, STEPS) / taken / 1e9
    return found


def limits_in(precision: Precision, limits: dict[str, float]) -> dict[str, float]:
    """Return the limits with the arithmetic of a precision as `gflops`; of float32 where that has none of its own."""
    own = {"int8": "int8_gops", "bf16": "bf16_gflops"}.get(precision, "gflops")
    return {**limits, "gflops": limits.get(own, limits["gflops"])}


def main(arguments: list[str]) -> int:
    """Measure for the target and threads named, and print JSON."""
    from ovenbird.targets import load_target

    import_tvm_alone()
    print(json.dumps(measure(load_target(arguments[0]), int(arguments[1]))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
