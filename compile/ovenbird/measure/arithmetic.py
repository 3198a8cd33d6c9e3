"""The arithmetic limit of a machine, by a function that does nothing but multiply and add in registers.

Example: two Zen 5 cores at 4.2 GHz with 512-bit vectors reach 2 cores x 2 units x 32 operations x 4.2 = 538 GFLOP/s.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tvm
from tvm import tirx
from tvm.script import tirx as T

from ovenbird.passes.quantized.bfloat16_dots import INSTRUCTIONS, imported
from ovenbird.passes.quantized.emit_dots import VNNI

CHAINS = 12
"""Chains of multiply-adds side by side: more than latency (4) x units (2), fewer than the registers of any target."""

STEPS = 400_000
"""Of a candidate's library, which is timed within its limit, many times."""


def multiply_add_module(lanes: int, cores: int, steps: int = STEPS) -> tvm.IRModule:
    """Return a module `main(x [lanes], out [cores, CHAINS, lanes])`: on each core, CHAINS
    x `steps` vector multiply-adds.
    """
    return chains_module(lanes, cores, steps, "float32", "float32", lambda sums, x: sums * x + x)


def dot_module(lanes: int, cores: int, steps: int = STEPS) -> tvm.IRModule:
    """Return the same of `vpdpbusd` on sums of int32: `main(x [lanes] int32, out [cores, CHAINS, lanes] int32)`; a lane
    multiplies and adds four numbers of 8 bits.
    """

    def step(sums: Any, x: Any) -> Any:
        four = tirx.reinterpret(f"int8x{4 * lanes}", x)
        return tirx.call_llvm_pure_intrin(f"int32x{lanes}", VNNI[lanes], sums, four, four)

    return chains_module(lanes, cores, steps, "int32", "int32", step)


def bfloat16_module(kind: str, cores: int, steps: int = STEPS) -> tvm.IRModule:
    """Return the same of an instruction for bfloat16 (`passes.quantized.bfloat16_dots`), `main(x [lanes] int32, out
    [cores, CHAINS, lanes] float32)`; a lane multiplies and adds two numbers.
    """
    lanes, function = INSTRUCTIONS[kind].lanes, INSTRUCTIONS[kind].function

    def step(sums: Any, x: Any) -> Any:
        return tirx.call_extern(f"float32x{lanes}", function, sums, x, x)

    module = chains_module(lanes, cores, steps, "int32", "float32", step)
    return tvm.IRModule({"main": imported(module["main"], {kind})})


def chains_module(
    lanes: int, cores: int, steps: int, given: str, summed: str, step: Callable[[Any, Any], Any]
) -> tvm.IRModule:
    """Return a module `main(x [lanes], out [cores, CHAINS, lanes])` of dtypes `given` and `summed`: chains of vectors
    from 0 on, each `step(sums, x)` of the one before it.
    """

    @T.prim_func  # type: ignore[untyped-decorator]
    def main(x: T.Buffer((lanes,), given), out: T.Buffer((cores, CHAINS, lanes), summed)):  # type: ignore
        for core in T.parallel(cores):
            sums = T.alloc_buffer((CHAINS, lanes), summed, scope="local")
            for chain in T.unroll(CHAINS):
                for lane in T.vectorized(lanes):
                    sums[chain, lane] = T.Cast(summed, 0)
            for _step in T.serial(steps):
                for chain in T.unroll(CHAINS):
                    sums[chain, T.Ramp(0, 1, lanes)] = step(sums[chain, T.Ramp(0, 1, lanes)], x[T.Ramp(0, 1, lanes)])
            for chain in T.unroll(CHAINS):
                for lane in T.vectorized(lanes):
                    out[core, chain, lane] = sums[chain, lane]

    return tvm.IRModule({"main": main.with_attr("global_symbol", "main").with_attr("tirx.noalias", True)})


def multiply_add_operations(lanes: int, cores: int, steps: int = STEPS) -> int:
    """Return the float operations of one call: a multiply-add counts two."""
    return 2 * lanes * cores * CHAINS * steps
