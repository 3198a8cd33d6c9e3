"""The backend for NVIDIA GPUs, without its compiler: `compiler` and `tuner` import what they need when they are called.

Example: `CudaBackend().precision("f16")` is "f16".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovenbird.backends.base import Backend, BuildOptions
from ovenbird.backends.cuda.dtypes import DTYPES
from ovenbird.backends.cuda.local_gpu import describe_gpu, require_gpu, why_not_on_gpu
from ovenbird.backends.cuda.toolchain import find_nvcc
from ovenbird.errors import UsageError
from ovenbird.targets import TargetSpec
from ovenbird_runtime.manifest.agreement import Precision

if TYPE_CHECKING:
    from ovenbird.backends.cuda.compiler import CudaCompiler
    from ovenbird.backends.cuda.tuning.tuner import CudaTuner


class CudaBackend(Backend):
    """Channels last, one grid of threads a function, nvcc. No GPU is needed to compile."""

    device = "cuda"
    precisions = tuple(DTYPES)
    extra = "cuda"
    environment = {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}  # noqa: RUF012
    """What NVIDIA's container runtime looks at when it lends a container the driver."""

    def describe(self, target: TargetSpec) -> str:
        """Return the chip."""
        return target.chip

    def makers(self, target: TargetSpec) -> Mapping[str, str]:
        """Return nvcc's version. Raises NoCudaCompiler."""
        return {f"nvcc of {target.name}": ".".join(map(str, find_nvcc().version))}

    def heeded(self, options: BuildOptions) -> Mapping[str, Any]:
        """Return the dtype of values in memory, and nvcc's liberties."""
        return {"gpu": {"precision": DTYPES[self.precision(options.precision)], "fast_math": options.fast_math}}

    def why_not_here(self, target_json: Path) -> str:
        """Return why there is no GPU here that runs the variant. Raises RuntimeFailed."""
        return why_not_on_gpu(target_json)

    def compiler(self, target: TargetSpec, options: BuildOptions) -> CudaCompiler:
        """Return the compiler by nvcc. Raises NoCudaCompiler, TargetInvalid, BuildFailed."""
        from ovenbird.backends.cuda.compiler import CudaCompiler

        return CudaCompiler(target, replace(options, precision=self.precision(options.precision)))

    def require_measurable(self, target: TargetSpec, rpc_tracker: str | None, rpc_key: str) -> Mapping[str, str]:
        """Refuse to measure without the very chip and nvcc.

        Raises UsageError, NoCudaCompiler; DriverMissing, DriverTooOld, GpuMissing, WrongChip, LibraryMissing.
        """
        if rpc_tracker is not None:
            raise UsageError(
                "--rpc-tracker: its devices measure code for processors; "
                f"run `ovenbird tune --target {target.name}` on the machine that has the GPU"
            )
        gpu = require_gpu(target)
        find_nvcc()
        return describe_gpu(gpu)

    def tuner(self, target: TargetSpec, precision: Precision) -> CudaTuner:
        """Return the search over all plans. Raises TargetInvalid."""
        from ovenbird.backends.cuda.tuning.tuner import CudaTuner

        return CudaTuner(target, precision)
