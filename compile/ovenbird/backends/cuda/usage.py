"""What ptxas says that each kernel takes, and whether the chip has it.

report = nvcc.compile_and_report(source, "sm_90")[1]
over_limits(read_usage(report), launch_bounds(source), chip)     # "" or "main_kernel: 168 registers x 512 threads ..."
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ovenbird.backends.cuda.chip import Chip

KERNEL = re.compile(r'extern "C" __global__ void __launch_bounds__\((\d+)\) (\w+)\(')


@dataclass(frozen=True)
class Usage:
    """What one kernel takes: registers of a thread, static shared memory of a block, spilled bytes of a thread."""

    registers: int
    shared_bytes: int
    spilled_bytes: int


def launch_bounds(source: str) -> dict[str, int]:
    """Return the threads of each kernel's blocks, as TVM's CUDA source has them."""
    return {name: int(threads) for threads, name in KERNEL.findall(source)}


def read_usage(report: str) -> dict[str, Usage]:
    """Return the kernels of one `nvcc --resource-usage`."""
    found = {}
    for block in report.split("Compiling entry function '")[1:]:
        registers = re.search(r"Used (\d+) registers", block)
        shared = re.search(r"(\d+) bytes smem", block)
        spilled = re.search(r"(\d+) bytes spill stores", block)
        if registers:
            counts = (int(match[1]) if match else 0 for match in (registers, shared, spilled))
            found[block.split("'")[0]] = Usage(*counts)
    return found


def over_limits(usages: Mapping[str, Usage], threads: Mapping[str, int], chip: Chip) -> str:
    """Return which kernel does not fit the chip, by how much; nothing where all do."""
    for name, usage in usages.items():
        count = threads.get(name, 0)
        if count > chip.max_threads:
            return f"{name}: {count} threads a block, the chip has {chip.max_threads}"
        if usage.registers * count > chip.registers:
            return f"{name}: {usage.registers} registers x {count} threads, the chip has {chip.registers} a block"
        if usage.shared_bytes > chip.shared_bytes:
            return f"{name}: {usage.shared_bytes} bytes of shared memory, the chip has {chip.shared_bytes} a block"
    return ""
