"""The backend for processors, without its compiler: `compiler` and `tuner` import what they need when they are called.

Example: `CpuBackend().describe(load_target("x86-64-v3"))` is "x86-64-v3, 256-bit vectors".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ovenbird.backends.base import Backend, BuildOptions, FindRecords
from ovenbird.backends.optimisations import OPTIMISATIONS
from ovenbird.errors import UsageError
from ovenbird.targets import TargetSpec
from ovenbird_runtime.machine.cpu import this_machine
from ovenbird_runtime.manifest.agreement import Precision

if TYPE_CHECKING:
    from ovenbird.backends.cpu.compiler import CpuCompiler
    from ovenbird.backends.cpu.packing import Packing
    from ovenbird.backends.cpu.tuning.tuner import CpuTuner


class CpuBackend(Backend):
    """Blocks of channels, register tiles, LLVM; computes as the framework does, or in whole numbers of eight
    bits; f16 is float32 with large matrices stored in half precision, bf16 multiplies bfloat16 where the target can."""

    precisions = ("f32", "f16", "bf16", "int8")
    optimisations = frozenset(OPTIMISATIONS)

    def lacks(self, target: TargetSpec, precision: Precision) -> str:
        """Return the instruction that multiplies bfloat16."""
        if precision != "bf16":
            return ""
        from ovenbird.backends.cpu.machine import bfloat16_of

        return "" if bfloat16_of(target) else "instruction that multiplies bfloat16"

    def recorded(self, precision: Precision) -> Precision:
        """Return float32 for halves, whose other kernels are the same."""
        return "f32" if precision in ("f16", "bf16") else precision

    def wants_narrow(self, target: TargetSpec) -> bool:
        """Return whether it is an x86-64 without VNNI."""
        from ovenbird.backends.cpu.machine import machine_of

        return machine_of(target).adds_narrow

    def describe(self, target: TargetSpec) -> str:
        """Return the processor and its vectors."""
        return f"{target.mcpu}, {target.vector_bits}-bit vectors"

    def packing(self, targets: Sequence[TargetSpec], find_records: FindRecords) -> Packing:
        """Return the packing of the target with the widest vectors, the first of equals."""
        from ovenbird.backends.cpu.packing import packing_of

        widest = max(targets, key=lambda target: target.vector_bits)
        return packing_of(widest, find_records(widest))

    def compiler(self, target: TargetSpec, options: BuildOptions) -> CpuCompiler:
        """Return the compiler by LLVM."""
        from ovenbird.backends.cpu.compiler import CpuCompiler

        return CpuCompiler(target, options)

    def require_measurable(self, target: TargetSpec, rpc_tracker: str | None, rpc_key: str) -> Mapping[str, str]:
        """Refuse another processor's code, but for devices of a tracker. Raises UsageError."""
        if rpc_tracker is not None:
            if not rpc_key:
                raise UsageError("--rpc-tracker needs --rpc-key, the key its devices were started with")
            return {}
        machine = this_machine()
        if target.arch != machine.arch:
            raise UsageError(
                f"--target {target.name} is {target.arch}, this machine is {machine.arch}; "
                "measure on a device (--rpc-tracker)"
            )
        missing = sorted(set(target.features) - machine.features)
        if missing:
            raise UsageError(
                f"--target {target.name} needs {', '.join(missing)}, which this processor lacks; use --rpc-tracker"
            )
        return {}

    def tuner(self, target: TargetSpec, precision: Precision) -> CpuTuner:
        """Return MetaSchedule's search over the spaces of the schedules."""
        from ovenbird.backends.cpu.tuning.tuner import CpuTuner

        return CpuTuner(target)
