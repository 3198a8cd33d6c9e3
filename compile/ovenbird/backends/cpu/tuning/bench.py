"""What a worker is asked where a processor computes: candidates are compiled by LLVM, as `compile` does it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tvm

from ovenbird.backends.codegen_pipeline import codegen_pipeline
from ovenbird.linking.library import link_library
from ovenbird.measure.jobs import Bench, read_target


class CpuBench(Bench):
    """Builds for a processor."""

    def build(self, module: str, target: dict[str, Any], path: str) -> dict[str, Any]:
        """Compile a scheduled module into a library."""
        spec = read_target(target)
        library = tvm.compile(tvm.ir.load_json(module), spec.tvm_target(), tir_pipeline=codegen_pipeline())
        link_library(library, Path(path), spec)
        return {}
