"""From Relax modules, one a batch size, to a library for a target.

built = build_module({1: one, 8: eight}, load_target("host"))
built.export(Path("model.so"))
built.tensors                    # the packed weights, in a file of their own beside the library
"""

from __future__ import annotations

from pathlib import Path

import tvm

from ovenbird.backends.base import BuildOptions
from ovenbird.backends.built import BuiltModule, Progress
from ovenbird.backends.cpu.packing import Packing
from ovenbird.backends.cuda.options import DEFAULT, GpuOptions
from ovenbird.backends.table import BACKENDS
from ovenbird.lowering.dumping import Dump
from ovenbird.lowering.pipeline import compile_networks
from ovenbird.records.tuning_log import TuningLog
from ovenbird.targets import TargetSpec


def build_module(
    modules: dict[int, tvm.IRModule],
    target: TargetSpec,
    records: TuningLog | None = None,
    progress: Progress | None = None,
    dump: Path | None = None,
    gpu: GpuOptions = DEFAULT,
    packing: Packing | None = None,
) -> BuiltModule:
    """Compile one Relax module a batch size into one library.

    `modules`: batch size -> module whose function `main` takes the network's inputs and holds its weights as constants.
    `records`: a tuning log (`ovenbird.records.tuning_log.TuningLog`) or None for the default schedules.
    `dump`: a folder that receives what the compiler saw between its passes, by their names (`lowering.dumping`).
    `gpu`: what only code for a GPU heeds. `packing`: how weights are packed, where variants share them.

    Raises NoCudaCompiler, TargetInvalid, BuildFailed.
    """
    backend = BACKENDS[target.kind](target, BuildOptions(gpu, packing, records))
    return compile_networks(modules, backend, records, progress, Dump(dump))
