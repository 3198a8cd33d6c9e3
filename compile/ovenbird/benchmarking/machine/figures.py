"""Measure what estimates need to know of this machine: a few seconds, in a process of its own.

figures = measure_figures(load_target("host"))
"""

from __future__ import annotations

from ovenbird.benchmarking.worker_processes import run_module
from ovenbird.host.detection import cpu_name
from ovenbird.host.figures import MachineFigures
from ovenbird.records.provenance import timestamp
from ovenbird.targets import TargetSpec

LIMIT_S = 240.0


def measure_figures(host: TargetSpec) -> MachineFigures:
    """Measure on all processors that this process may use. Raises EngineFailed."""
    found = run_module("ovenbird.benchmarking.machine.roofline", [host.name, str(host.cores)], host.cores, LIMIT_S)
    lanes = max(host.vector_bits // 32, 1)
    return MachineFigures(cpu_name(), host.cores, lanes, found["gflops"], found["gbytes_per_s"], timestamp())
