"""The whole compiler on one page: from imported networks to a library, pass by pass, for any backend.

    prepare      one dataflow block, repeated matrices shared, constant parts computed    prepared.relax
    walk         the backend's handlers: layouts, packed weights, tensor expressions      walked.relax, walked.tir
    fuse         elementwise epilogues into what they follow                              fused.relax, fused.tir
    externalize  constants become parameters, in a file next to the library               lowered.relax
    schedule     each kernel by its tuning record, else by the backend's default          scheduled.tir
    allocate     every tensor in planned memory, every kernel called by name              allocated.relax
    plan         the calls over one arena, where a program is a straight line             plan.json
    generate     prefetches, TVM's own passes, stack buffers; LLVM or nvcc                model.ll, .asm, .cu

The files are what `--dump-code` writes behind each. `backends.codegen_pipeline` lists the passes of the last step.

Example: `compile_networks({EntryKey("main", 1): one}, BACKENDS["llvm"].compiler(target, BuildOptions()))`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import tvm
from tvm import IRModule, relax, tirx

from ovenbird.lowering.built import BuiltModule, StepReport
from ovenbird.lowering.dumping import NOWHERE, Dump
from ovenbird.lowering.entry_key import EntryKey
from ovenbird.lowering.layers import LayerRecord, describe_layers
from ovenbird.lowering.operators.legalizations import LEGALIZATIONS
from ovenbird.lowering.walk import Lowering
from ovenbird.operators.resampling import LINEAR, RESAMPLE, linear_kernel, resampling_kernel
from ovenbird.passes.adopt_functions import adopt_functions
from ovenbird.passes.bound_accesses import bound_accesses
from ovenbird.passes.externalize_constants import ConstantTable, externalize_constants
from ovenbird.passes.flatten_volumes import flatten_volumes
from ovenbird.passes.fold_constants import fold_constants
from ovenbird.passes.fusion.keep_unschedulable_apart import keep_unschedulable_apart
from ovenbird.passes.fusion.limit_fusion import limit_fusion
from ovenbird.passes.join_instance_norms import join_instance_norms
from ovenbird.passes.quantized.hide_weights import hide_weights, show_weights
from ovenbird.passes.share_broadcast_matrices import share_broadcast_matrices
from ovenbird.passes.share_constants import SharedConstants
from ovenbird.passes.widen_sequences import widen_sequences
from ovenbird.planning.write_plan import write_plan
from ovenbird_runtime.manifest.target import Entry

if TYPE_CHECKING:
    from ovenbird.backends.base import Compiler
    from ovenbird.lowering.entry_key import Networks
    from ovenbird.records.tuning_log import TuningLog

Begin = Callable[[relax.BlockBuilder, relax.Function, EntryKey], Lowering]
"""Makes the walk of a backend for a function of the network, given the builder to write to and what it is for."""


def compile_networks(
    networks: Networks,
    compiler: Compiler,
    records: TuningLog | None = None,
    progress: StepReport | None = None,
    dump: Dump = NOWHERE,
) -> BuiltModule:
    """Compile imported modules into one library, a function each. Raises BuildFailed."""
    report = progress or (lambda step, done, total: None)
    report("lower", 0, 3)
    if records is not None:
        records = records.for_target(compiler.target)
    module = compiler.lower(networks, dump)
    layers = describe_layers(module)
    table = ConstantTable()
    module, order = externalize_constants(module, table)
    dump.module("lowered", module)
    report("schedule", 1, 3)
    module = schedule(module, compiler, records, layers)
    module[RESAMPLE] = compiler.for_host(resampling_kernel())
    module[LINEAR] = compiler.for_host(linear_kernel())
    dump.module("scheduled", module)
    report("generate code", 2, 3)
    module = compiler.allocate(module)
    dump.module("allocated", module)
    entries = [Entry(key.program, key.batch, key.size, key.function, tuple(order[key.function])) for key in networks]
    if compiler.why_unplanned:
        plan, unplanned = None, {entry.function: compiler.why_unplanned for entry in entries}
    else:
        plan, unplanned = write_plan(module, entries)
    executable = compiler.generate(module, dump)
    dump.code(executable)
    report("generate code", 3, 3)
    return BuiltModule(
        executable, compiler.target, entries, table.arrays, list(layers.values()), RESAMPLE, LINEAR, plan, unplanned
    )


def lower(networks: Networks, begin: Begin, dump: Dump = NOWHERE, fused: bool = True) -> IRModule:
    """Return one module of unscheduled functions, each operator its own unless `fused`; equal functions of several
    networks are shared.
    """
    builder = relax.BlockBuilder()
    mains = {key.function: adopt_functions(prepare(network), builder) for key, network in networks.items()}
    prepared = IRModule({**dict(builder.get().functions_items()), **mains})
    dump.module("prepared", prepared)
    kept: SharedConstants = {}
    for key in networks:
        walk = begin(builder, prepared[key.function], key)
        walk.kept = kept
        walk.run(key.function)
    walked = builder.get()
    dump.module("walked", walked)
    result = fuse(walked, fused)
    dump.module("fused", result)
    return result


def prepare(network: IRModule) -> IRModule:
    """Return the network as one dataflow block with its constant parts computed."""
    passes = [
        relax.transform.ConvertToDataflow(),
        relax.transform.CanonicalizeBindings(),
        share_broadcast_matrices,
        flatten_volumes,
        widen_sequences,
        relax.transform.DeadCodeElimination(),  # or the copies would be computed all the same
        hide_weights,
        fold_constants,
        show_weights,
        join_instance_norms,
        relax.transform.DeadCodeElimination(),
    ]
    return tvm.transform.Sequential(passes)(network)


def fuse(module: IRModule, join: bool = True) -> IRModule:
    """Make remaining operators tensor expressions; where `join`, fuse elementwise epilogues into what they follow."""
    passes = [
        # First: a value that is computed but not used would keep its operands from fusing.
        relax.transform.DeadCodeElimination(),
        relax.transform.DecomposeOpsForInference(),
        # Reshapes stay: the runtime makes them views, which cost nothing.
        relax.transform.LegalizeOps(LEGALIZATIONS, skip_ops=["relax.reshape"]),
        relax.transform.AnnotateTIROpPattern(),
        keep_unschedulable_apart,
        limit_fusion,
        *((relax.transform.FuseOps(fuse_opt_level=2), relax.transform.FuseTIR()) if join else ()),
        relax.transform.DeadCodeElimination(),
        bound_accesses,
    ]
    return tvm.transform.Sequential(passes)(module)


def schedule(
    module: IRModule, compiler: Compiler, records: TuningLog | None, layers: dict[str, LayerRecord]
) -> IRModule:
    """Schedule every kernel: by its tuning record where one matches, by the backend's default otherwise."""
    functions: dict[Any, Any] = {}
    for name, function in module.functions_items():
        if isinstance(function, tirx.PrimFunc):
            found = records.lookup(function) if records is not None else None
            if found is not None and name.name_hint in layers:
                layers[name.name_hint].source = found.source
            named = function.with_attr("global_symbol", name.name_hint)
            tuned = found.function if found is not None else None
            function = (tuned or compiler.schedule(named)).with_attr("global_symbol", name.name_hint)
        functions[name] = function
    return IRModule(functions, attrs=module.attrs)
