"""The compiler for NVIDIA GPUs: channels last, one grid of threads a function, nvcc. No GPU is needed to compile.

Example: `CudaCompiler(load_target("cuda-sm90"), BuildOptions("f16")).chip.compute` is 90.
"""

from __future__ import annotations

from typing import Any

import tvm
from tvm import relax, tirx

from ovenbird.backends.base import BuildOptions, Compiler
from ovenbird.backends.codegen_pipeline import codegen_pipeline, for_host
from ovenbird.backends.cuda.chip import chip_of
from ovenbird.backends.cuda.device_module import compiling_with, load_device_module
from ovenbird.backends.cuda.dtypes import DTYPES
from ovenbird.backends.cuda.pipeline import executable_passes, lower_networks
from ovenbird.backends.cuda.schedules import schedule_function
from ovenbird.backends.cuda.schedules.intrinsics import wmma_group
from ovenbird.backends.cuda.toolchain import find_nvcc
from ovenbird.lowering.dumping import Dump
from ovenbird.lowering.entry_key import Networks
from ovenbird.targets import TargetSpec


class CudaCompiler(Compiler):
    """Compiles for one chip. Raises NoCudaCompiler, TargetInvalid, BuildFailed."""

    why_unplanned = "a GPU's kernels are launched by TVM's CUDA runtime, and no symbols of model.so"

    def __init__(self, target: TargetSpec, options: BuildOptions) -> None:
        self.target = target
        self.dtype, self.fast_math = DTYPES[options.precision], options.fast_math
        self.chip, self.nvcc = chip_of(target), find_nvcc()
        load_device_module()
        if options.records is not None and self.dtype == "float16":
            wmma_group()  # the instructions that traces of float16 products name

    def lower(self, networks: Networks, dump: Dump) -> tvm.IRModule:
        """Lower with images channels last and floats in the precision asked for."""
        return lower_networks(networks, self.dtype, dump)

    def schedule(self, function: tirx.PrimFunc) -> tirx.PrimFunc:
        """Schedule by the default plan."""
        return schedule_function(function, self.chip)

    def for_host(self, function: tirx.PrimFunc) -> tirx.PrimFunc:
        """Return the function for the processor.

        Images are decoded in the host's memory: what the network reads of them is made there, and only that is copied.
        """
        return for_host(function, self.target.tvm_target())

    def allocate(self, scheduled: tvm.IRModule) -> tvm.IRModule:
        """Allocate by TVM's passes without its own schedules and without CUDA graphs."""
        with self.target.tvm_target():
            return executable_passes()(scheduled)

    def generate(self, allocated: tvm.IRModule, dump: Dump) -> Any:
        """Build host code by LLVM, and one fat binary by nvcc: machine code and PTX, no source."""
        # TVM would put float32 sums where float16 operands of the same size were, and then refuse the pointer to them.
        apart = tvm.transform.PassContext(config={"tirx.disable_storage_rewrite": True})
        with apart, compiling_with(self.nvcc, self.chip.arch, self.fast_math) as sources:
            executable = relax.build(
                allocated,
                self.target.tvm_target(),
                relax_pipeline=None,
                tir_pipeline=codegen_pipeline(),
            )
        dump.text("model.cu", "\n".join(sources.texts))
        return executable
