"""From Relax modules, one a batch size, to a library: lowered, scheduled, tuned records applied, compiled.

built = build_module({1: one, 8: eight}, load_target("host"))
built.export(Path("model.so"))
built.tensors                    # the packed weights, in a file of their own beside the library
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tvm
from tvm import relax, tirx

from ovenbird.backends.codegen_pipeline import codegen_pipeline
from ovenbird.backends.cpu.algorithms import ALGORITHMS, Algorithm
from ovenbird.backends.cpu.machine import Machine
from ovenbird.backends.cpu.pipeline import lower_networks
from ovenbird.backends.cpu.schedules import schedule_function
from ovenbird.backends.cuda.options import DEFAULT, GpuOptions
from ovenbird.backends.layers import LayerRecord, describe_layers
from ovenbird.backends.linking import link_library
from ovenbird.lowering.pipeline import entry_name
from ovenbird.operators.resampling import RESAMPLE, resampling_kernel
from ovenbird.passes.externalize_constants import ConstantTable, externalize_constants
from ovenbird.targets import TargetSpec
from ovenbird.tuning_log import Found, TuningLog

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Entry:
    """One compiled batch size: its function in the library and the tensors that follow the inputs."""

    batch: int
    function: str
    weights: list[int]


@dataclass
class BuiltModule:
    """Compiled code, its entries and the tensors they take."""

    executable: Any
    target: TargetSpec
    entries: list[Entry]
    tensors: list[np.ndarray[Any, Any]]
    layers: list[LayerRecord] = field(default_factory=list)
    resample: str = ""
    """The function that pre-processes images; empty where there is none."""

    def export(self, path: Path) -> None:
        """Links the library into `path`; the same code gives the same bytes. Raises BuildFailed, OutputError."""
        link_library(self.executable, path, self.target)


def machine_of(target: TargetSpec, block: int = 0) -> Machine:
    """What the schedules need to know of a CPU target whose blocks hold `block` channels (0: one vector)."""
    lanes = max(target.vector_bits // 32, 1)
    return Machine(
        block_lanes=block if block % lanes == 0 else 0,
        lanes=lanes,
        registers=target.registers,
        l1_bytes=target.l1d_bytes,
        l2_bytes=target.l2_bytes,
        cores=target.cores,
    )


def build_module(
    modules: dict[int, tvm.IRModule],
    target: TargetSpec,
    records: TuningLog | None = None,
    progress: Progress | None = None,
    dump: Path | None = None,
    gpu: GpuOptions = DEFAULT,
    packing: Packing | None = None,
) -> BuiltModule:
    """Compiles one Relax module a batch size into one library.

    `modules`: batch size -> module whose function `main` takes the network's inputs and holds its weights as constants.
    `records`: a tuning log (`ovenbird.tuning_log.TuningLog`) or None for the default schedules.
    `dump`: a folder that receives what the compiler saw (`lowered.relax`, `scheduled.tir`, `model.ll`, `model.asm`).
    `gpu`: what only code for a GPU heeds. `packing`: how weights are packed, where variants share them.
    """
    if target.kind == "cuda":
        from ovenbird.backends.cuda.building import build_gpu_module

        return build_gpu_module(modules, target, gpu, records, progress, dump)
    report = progress or (lambda step, done, total: None)
    report("lower", 0, 3)
    packing = packing or packing_of(target, records)
    machine = machine_of(target, packing.block)
    if records is not None:
        records = records.for_target(target)
    lowered = lower_networks(modules, machine, packing.measured, packing.machine)
    layers = describe_layers(lowered)
    table = ConstantTable()
    lowered, order = externalize_constants(lowered, table)
    report("schedule", 1, 3)
    scheduled = schedule_module(lowered, machine, records, layers)
    scheduled[RESAMPLE] = resampling_kernel()
    report("generate code", 2, 3)
    tvm_target = target.tvm_target()
    executable = relax.build(scheduled, tvm_target, tir_pipeline=codegen_pipeline())
    report("generate code", 3, 3)
    if dump is not None:
        dump_code(dump, lowered, scheduled, executable)
    entries = [Entry(batch, entry_name(batch), order[entry_name(batch)]) for batch in modules]
    return BuiltModule(executable, target, entries, table.arrays, list(layers.values()), RESAMPLE)


@dataclass(frozen=True)
class Packing:
    """What decides the bytes of packed weights. Variants built with one packing have the same, and share a file.

    `block`: channels side by side. `machine`, `measured`: whose estimate, and before it whose measurements, choose
    the algorithm of a convolution.
    """

    block: int
    machine: Machine
    measured: dict[str, Algorithm]


def packing_of(widest: TargetSpec, records: TuningLog | None) -> Packing:
    """The packing that suits one target best; for several, of the one with the widest vectors."""
    machine = machine_of(widest)
    chosen = records.for_target(widest) if records is not None else None
    return Packing(machine.lanes, machine, known_algorithms(chosen))


def known_algorithms(records: TuningLog | None) -> dict[str, Algorithm]:
    """The algorithms that were chosen by measurement, by the convolution's shape."""
    choices = records.choices if records is not None else {}
    return {key: name for key, name in choices.items() if name in ALGORITHMS}


def schedule_module(
    lowered: tvm.IRModule, machine: Machine, records: TuningLog | None, layers: dict[str, LayerRecord]
) -> tvm.IRModule:
    """Schedules every function: by its tuning record where one matches, by the default otherwise."""
    functions: dict[Any, Any] = {}
    for name, function in lowered.functions_items():
        if isinstance(function, tirx.PrimFunc):
            found = records.lookup(function) if records is not None else Found("default")
            tuned = found.function
            if name.name_hint in layers:
                layers[name.name_hint].source = found.source
            function = (tuned or schedule_function(function, machine)).with_attr("global_symbol", name.name_hint)
        functions[name] = function
    return tvm.IRModule(functions, attrs=lowered.attrs)


def dump_code(folder: Path, lowered: tvm.IRModule, scheduled: tvm.IRModule, executable: Any) -> None:
    """Writes the code at each level as text."""
    folder.mkdir(parents=True, exist_ok=True)
    relax_functions = {n: f for n, f in lowered.functions_items() if isinstance(f, relax.Function)}
    kernels = {n: f for n, f in scheduled.functions_items() if isinstance(f, tirx.PrimFunc)}
    (folder / "lowered.relax").write_text(tvm.IRModule(relax_functions).script(show_meta=False))
    (folder / "scheduled.tir").write_text(tvm.IRModule(kernels).script(show_meta=False))
    for module in executable.mod.imports:
        if module.kind == "llvm":
            (folder / "model.ll").write_text(module.inspect_source("ll"))
            (folder / "model.asm").write_text(module.inspect_source("asm"))
