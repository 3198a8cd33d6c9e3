"""From Relax modules, one a batch size, to a library for a GPU: lowered, scheduled, compiled by nvcc.

built = build_gpu_module({1: one, 8: eight}, load_target("cuda-sm90"), GpuOptions(precision="float16"))
built.export(Path("model.so"))          # host code, and one fat binary: machine code and PTX, no source
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tvm
from tvm import relax, tirx

from ovenbird.backends.building import BuiltModule, Entry, Progress, dump_code
from ovenbird.backends.codegen_pipeline import codegen_pipeline, for_host
from ovenbird.backends.cuda.chip import Chip, chip_of
from ovenbird.backends.cuda.device_module import compiling_with, load_device_module
from ovenbird.backends.cuda.options import DEFAULT, GpuOptions
from ovenbird.backends.cuda.pipeline import executable_passes, lower_networks
from ovenbird.backends.cuda.schedules import schedule_function
from ovenbird.backends.cuda.schedules.intrinsics import wmma_group
from ovenbird.backends.cuda.toolchain import find_nvcc
from ovenbird.backends.layers import describe_layers
from ovenbird.lowering.pipeline import entry_name
from ovenbird.operators.resampling import RESAMPLE, resampling_kernel
from ovenbird.passes.externalize_constants import ConstantTable, externalize_constants
from ovenbird.targets import TargetSpec
from ovenbird.tuning_log import Found, TuningLog


def build_gpu_module(
    modules: dict[int, tvm.IRModule],
    target: TargetSpec,
    options: GpuOptions = DEFAULT,
    records: TuningLog | None = None,
    progress: Progress | None = None,
    dump: Path | None = None,
) -> BuiltModule:
    """Compiles one Relax module a batch size into one library; the arguments are those of `build_module`.

    Raises NoCudaCompiler, TargetInvalid, BuildFailed.
    """
    report = progress or (lambda step, done, total: None)
    chip, nvcc = chip_of(target), find_nvcc()
    load_device_module()
    report("lower", 0, 3)
    if records is not None:
        records = records.for_target(target)
        if options.precision == "float16":
            wmma_group()  # the instructions that traces of float16 products name
    lowered = lower_networks(modules, options.precision)
    layers = describe_layers(lowered)
    table = ConstantTable()
    lowered, order = externalize_constants(lowered, table)
    report("schedule", 1, 3)
    functions: dict[Any, Any] = {}
    for name, function in lowered.functions_items():
        if isinstance(function, tirx.PrimFunc):
            found = records.lookup(function) if records is not None else Found("default")
            if name.name_hint in layers:
                layers[name.name_hint].source = found.source
            function = schedule_named(name.name_hint, found.function, function, chip)
        functions[name] = function
    scheduled = tvm.IRModule(functions, attrs=lowered.attrs)
    tvm_target = target.tvm_target()
    # Images are decoded in the host's memory: what the network reads of them is made there, and only that is copied.
    scheduled[RESAMPLE] = for_host(resampling_kernel(), tvm_target)
    report("generate code", 2, 3)
    # TVM would put float32 sums where float16 operands of the same size were, and then refuse the pointer to them.
    apart = tvm.transform.PassContext(config={"tirx.disable_storage_rewrite": True})
    with apart, compiling_with(nvcc, chip.arch, options.fast_math) as sources:
        executable = relax.build(
            scheduled, tvm_target, relax_pipeline=executable_passes(), tir_pipeline=codegen_pipeline()
        )
    report("generate code", 3, 3)
    if dump is not None:
        dump_code(dump, lowered, scheduled, executable)  # of the processor's code too: launches, pre-processing
        (dump / "model.cu").write_text("\n".join(sources.texts))
    entries = [Entry(batch, entry_name(batch), order[entry_name(batch)]) for batch in modules]
    return BuiltModule(executable, target, entries, table.arrays, list(layers.values()), RESAMPLE)


def schedule_named(name: str, tuned: tirx.PrimFunc | None, function: tirx.PrimFunc, chip: Chip) -> tirx.PrimFunc:
    """The function by its tuning record where there is one, by the default rules otherwise, under its own name."""
    named = function.with_attr("global_symbol", name)
    return (tuned or schedule_function(named, chip)).with_attr("global_symbol", name)
