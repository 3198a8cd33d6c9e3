"""Which backend compiles for a target: by the target's `kind`, and nowhere else.

Example: `BACKENDS["llvm"].device` is "cpu".
"""

from __future__ import annotations

from collections.abc import Mapping

from ovenbird.backends.base import Backend
from ovenbird.backends.cpu.backend import CpuBackend
from ovenbird.backends.cuda.backend import CudaBackend

BACKENDS: Mapping[str, Backend] = {"llvm": CpuBackend(), "cuda": CudaBackend()}
