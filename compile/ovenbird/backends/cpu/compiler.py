"""The compiler for processors: blocks of channels, register tiles, LLVM.

Example: `CpuCompiler(load_target("host"), BuildOptions()).machine.lanes("float32")` is 16 with AVX-512.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import tvm
from tvm import relax, tirx

from ovenbird.backends.base import BuildOptions, Compiler
from ovenbird.backends.codegen_pipeline import codegen_pipeline
from ovenbird.backends.cpu.machine import bfloat16_of, machine_of, widens_halves
from ovenbird.backends.cpu.packing import packing_of
from ovenbird.backends.cpu.pipeline import lower_networks
from ovenbird.backends.cpu.schedules import schedule_function
from ovenbird.lowering.dumping import Dump
from ovenbird.lowering.entry_key import Networks
from ovenbird.passes.quantized.round_vectors import ROUNDS
from ovenbird.targets import TargetSpec


class CpuCompiler(Compiler):
    """Compiles for one processor."""

    def __init__(self, target: TargetSpec, options: BuildOptions) -> None:
        self.target = target
        self.packing = options.packing or packing_of(target, options.records)
        half = options.precision == "f16" and widens_halves(target)
        rounds = options.precision == "bf16" or options.some_bfloat16
        bfloat16 = (bfloat16_of(target) or "bf16-plain") if rounds else ""
        machine = machine_of(target, self.packing.block)
        every = options.precision == "bf16"
        self.machine = dataclasses.replace(machine, half_weights=half, bfloat16=bfloat16, rounds_weights=every)
        self.without = options.without

    def lower(self, networks: Networks, dump: Dump) -> tvm.IRModule:
        """Lower with images in blocks of channels and weights packed as `packing` says."""
        packing = self.packing
        return lower_networks(networks, self.machine, packing.measured, packing.machine, dump, self.without)

    def schedule(self, function: tirx.PrimFunc) -> tirx.PrimFunc:
        """Schedule by the rule of the function's anchor."""
        scheduled = schedule_function(function, self.machine, by_anchor="tiles" not in self.without)
        return scheduled.with_attr(ROUNDS, 1) if self.machine.bfloat16 == "bf16" else scheduled

    def for_host(self, function: tirx.PrimFunc) -> tirx.PrimFunc:
        """Return the function as it is: all are the processor's."""
        return function

    def allocate(self, scheduled: tvm.IRModule) -> tvm.IRModule:
        """Allocate by TVM's own passes."""
        with self.target.tvm_target():
            return relax.get_pipeline("default")(scheduled)

    def generate(self, allocated: tvm.IRModule, dump: Dump) -> Any:
        """Build by LLVM."""
        return relax.build(allocated, self.target.tvm_target(), relax_pipeline=None, tir_pipeline=codegen_pipeline())
