"""The way from a network to an artifact: import, build for each target, write, verify, and only then put in place.

report = compile_network(load_network("resnet50"), Path("artifacts/resnet50"), CompileOptions(targets=("host",)))
report.verified, report.parity.programs["main"].max_abs_error
"""

from __future__ import annotations

import functools
import gc
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovenbird.artifact.artifact_writer import ArtifactWriter
from ovenbird.artifact.packaging import Staging
from ovenbird.artifact.report import CompileReport
from ovenbird.backends.base import BuildOptions
from ovenbird.backends.table import BACKENDS
from ovenbird.errors import BuildFailed, UsageError
from ovenbird.host.garbage import only_new_garbage
from ovenbird.lowering.dumping import keep_kinds
from ovenbird.lowering.entry_key import EntryKey
from ovenbird.networks.composite import Composite
from ovenbird.networks.import_errors import reason
from ovenbird.networks.network import Network
from ovenbird.options import DEFAULT_OPTIONS, CompileOptions
from ovenbird.process.interruption import Interruption
from ovenbird.process.progress import Progress
from ovenbird.quantize.evidence import CALIBRATION, CalibrationEvidence
from ovenbird.records.tuning_records import find_records, provenance
from ovenbird.targets import TargetSpec, load_target
from ovenbird.trust.provenance import record_origin
from ovenbird.trust.sums import write_sums
from ovenbird.verify.disagreement import check_disagreement
from ovenbird.verify.parity import PARITY, parity, parity_bytes
from ovenbird.verify.photographs import own_photographs
from ovenbird.verify.references import References
from ovenbird.verify.verifying import Verification, verify_programs
from ovenbird_runtime.artifact.golden import golden_file, write_golden
from ovenbird_runtime.errors import OvenbirdError
from ovenbird_runtime.manifest.agreement import LIMITS, Precision
from ovenbird_runtime.manifest.manifest import VariantParity, variant_name

if TYPE_CHECKING:
    from ovenbird.lowering.built import BuiltModule
    from ovenbird.lowering.layers import LayerRecord
    from ovenbird.quantize.quantizing import Quantized


@dataclass(frozen=True)
class Variant:
    """What is compiled: for a target, in a precision."""

    spec: TargetSpec
    precision: Precision

    @property
    def name(self) -> str:
        """Its name and its folder's."""
        return variant_name(self.spec.name, self.precision)

    @property
    def kind(self) -> str:
        """The target's kind."""
        return self.spec.kind


def choose_variants(
    specs: Sequence[TargetSpec], precisions: Sequence[Precision], modules: dict[EntryKey, Any]
) -> list[Variant]:
    """Return each target in each precision that it computes in; what comes quantized is int8 where there is that."""
    from ovenbird.passes.quantized.form import is_quantized

    asked: Sequence[Precision] = ("int8",) if any(map(is_quantized, modules.values())) else precisions
    found = [Variant(spec, BACKENDS[spec.kind].precision(one)) for spec in specs for one in asked]
    return list(dict.fromkeys(found))


def compile_network(
    network: Network | Composite,
    output: Path,
    options: CompileOptions = DEFAULT_OPTIONS,
    progress: Progress | None = None,
) -> CompileReport:
    """Compile `network`, or a model of several programs, into the folder `output`. Raises any CompilerError; then
    `output` is as it was before.
    """
    from ovenbird.passes.share_constants import constants_bytes

    began = time.monotonic()
    stop = Interruption(progress or Progress())
    specs = [load_target(name) for name in dict.fromkeys(options.targets)]
    if not specs:
        raise UsageError("give at least one --target")
    _require_optimisations(specs, options)
    batches = {name: network.batches(name, options.batch_sizes) for name in network.programs}
    dump = output.with_name(f"{output.name}.code") if options.dump else None
    layers: dict[str, list[LayerRecord]] = {}
    unplanned: dict[str, str] = {}
    with stop as step, Staging(output) as staging, only_new_garbage():
        writer = ArtifactWriter(staging.folder, network)
        tuning: dict[str, Any] = {}
        modules = _import(network, batches, step)
        weights_bytes = constants_bytes(modules.values())
        variants = choose_variants(specs, options.precisions, modules)
        packings = _packings(network, variants, options)
        some_bfloat16 = mixes_bfloat16(variants, options)
        quantized = _quantize(network, modules, variants, options, step, some_bfloat16)
        for variant in variants:
            folder = dump / variant.name if dump else None
            own = quantized.modules if quantized is not None and variant.precision == "int8" else modules
            some = some_bfloat16 and variant.precision == "int8"
            built, records = _build(network, own, variant, packings[variant.kind], options, step, folder, some)
            layers[variant.name] = list(built.layers)
            if built.unplanned:
                unplanned[variant.name] = "; ".join(dict.fromkeys(built.unplanned.values()))
            tuning[variant.name] = provenance(records, built.layers)
            if folder is not None:
                keep_kinds(folder, options.dump)
            step(f"writing {variant.name}")
            writer.add_variant(built, variant.spec, variant.precision)
        modules.clear()
        if quantized is not None:
            quantized.modules.clear()
        del built, own
        gc.collect()  # verification has memory of its own to take
        found, unverified = _verify_variants(writer, network, variants, batches, options, step, quantized)
        if quantized is not None:
            _add_calibration(writer, quantized.evidence, found, tuning)
        figures = None
        if found:
            figures = parity(found, {variant.name: held_to(variant, network, options) for variant in variants})
            for program, one in next(iter(found.values())).items():
                for size, golden in one.golden.items():
                    write_golden(_made(staging.folder / golden_file(program, size)), golden.inputs, golden.outputs)
            closer = [name for name, of in found.items() if any(one.in_float64 for one in of.values())]
            writer.add_evidence(PARITY, parity_bytes(figures, network.framework, unverified, closer))
        record_origin(writer, specs, options, tuning)
        manifest = writer.write_manifest(figures, tuning)
        write_sums(staging.folder)
        step(f"putting {output} in place")
        staging.commit()
    blind = tuple(name for one in next(iter(found.values()), {}).values() for name in one.blind)
    return CompileReport(
        output,
        manifest,
        network.framework,
        tuple(found),
        unverified,
        blind=blind,
        layers=layers,
        whole=_whole(variants, layers),
        texts={name: one.texts.line() for name, of in found.items() for one in of.values() if one.texts is not None},
        dumped=dump,
        unplanned=unplanned,
        one_row=any(one.source.one_row for one in network.programs.values()),
        notes=network.notes,
        weights_bytes=weights_bytes,
        seconds=time.monotonic() - began,
    )


def _require_optimisations(specs: Sequence[TargetSpec], options: CompileOptions) -> None:
    """Refuse to leave out what a target's backend does not have. Raises UsageError."""
    for spec in specs:
        lacking = sorted(options.without - BACKENDS[spec.kind].optimisations)
        if lacking:
            raise UsageError(f"--target {spec.name}: its backend cannot leave out {', '.join(lacking)}")


def _whole(variants: Sequence[Variant], layers: Mapping[str, Sequence[LayerRecord]]) -> dict[str, tuple[int, int]]:
    from ovenbird.lowering.layers import whole_share

    return {one.name: whole_share(layers[one.name]) for one in variants if one.precision == "int8"}


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _import(network: Network | Composite, batches: Mapping[str, Sequence[int]], step: Progress) -> dict[EntryKey, Any]:
    """Import each program at every image size and batch size, once for all targets."""
    from ovenbird.passes.share_constants import share_constants

    keys = [
        EntryKey(name, batch, size)
        for name, one in network.programs.items()
        for size in one.image_sizes
        for batch in batches[name]
    ]
    kept: dict[Any, Any] = {}
    modules = {}
    for done, key in enumerate(keys):
        step("tracing and importing", done, len(keys))
        modules[key] = network.programs[key.program].at(key.size).relax(key.batch)
        if len(keys) > 1:
            modules[key] = share_constants(modules[key], kept)
        gc.collect()  # importers refer to themselves, and so keep the weights that they rearranged
    step("tracing and importing", len(keys), len(keys))
    return modules


def _quantize(
    network: Network | Composite,
    modules: dict[EntryKey, Any],
    variants: Sequence[Variant],
    options: CompileOptions,
    step: Progress,
    some_bfloat16: bool,
) -> Quantized | None:
    """Return the network in whole numbers; None where no variant is to be, or it came so."""
    from ovenbird.passes.quantized.form import is_quantized
    from ovenbird.quantize.quantizing import quantize_modules

    if all(variant.precision != "int8" for variant in variants) or any(map(is_quantized, modules.values())):
        return None
    narrow = any(BACKENDS[one.kind].wants_narrow(one.spec) for one in variants if one.precision == "int8")
    if isinstance(network, Composite):
        from ovenbird.quantize.several import quantize_several

        return quantize_several(network, modules, options.calibration, step, narrow, some_bfloat16)
    if options.calibration.quantizer == "onnxruntime":
        from ovenbird.quantize.by_onnxruntime import quantize_by_onnxruntime

        return quantize_by_onnxruntime(network, modules, options.calibration, step, narrow)
    return quantize_modules(network, modules, options.calibration, step, narrow, some_bfloat16)


def mixes_bfloat16(variants: Sequence[Variant], options: CompileOptions) -> bool:
    """Return whether layers that `--precision auto`, or programs that `--int8-programs`, leaves in floats may multiply
    bfloat16: where each target of int8 can, as they are chosen once for all.
    """
    specs = [one.spec for one in variants if one.precision == "int8"]
    able = all(
        "bf16" in BACKENDS[spec.kind].precisions and not BACKENDS[spec.kind].lacks(spec, "bf16") for spec in specs
    )
    return able and (options.calibration.mix_below is not None or bool(options.calibration.programs))


def _add_calibration(
    writer: ArtifactWriter,
    evidence: CalibrationEvidence,
    found: dict[str, dict[str, Verification]],
    tuning: dict[str, Any],
) -> None:
    """Write what int8 was calibrated on, and how it then answered, next to the figures of the manifest."""
    for name in tuning:
        if name.endswith("-int8"):
            tuning[name] = {**tuning[name], "calibration": evidence.summary()}
    agreement = {
        name: {program: one.agreement.document() for program, one in of.items() if one.agreement is not None}
        for name, of in found.items()
        if name.endswith("-int8")
    }
    texts = {name: one.texts.document() for name, of in found.items() for one in of.values() if one.texts is not None}
    document = {**evidence.document(), "agreement": agreement, **({"texts": texts} if texts else {})}
    writer.add_evidence(CALIBRATION, (json.dumps(document, indent=2) + "\n").encode())


def _packings(network: Network | Composite, variants: Sequence[Variant], options: CompileOptions) -> dict[str, Any]:
    """Return the one way in which all targets of a kind pack their weights, by kind."""
    found = {}
    for kind in dict.fromkeys(variant.kind for variant in variants):
        alike = {one.spec.name: one for one in reversed(variants) if one.kind == kind}

        def open_records(spec: TargetSpec, alike: dict[str, Variant] = alike) -> Any:
            return _records(network, alike[spec.name], options)

        specs = [one.spec for one in reversed(alike.values())]
        found[kind] = BACKENDS[kind].packing(specs, open_records)
    return found


def _records(network: Network | Composite, variant: Variant, options: CompileOptions) -> Any:
    """Open the tuning records of a variant, None where the defaults are to be taken."""
    precision = BACKENDS[variant.kind].recorded(variant.precision)
    return find_records(options.tuning_records, network.name, variant.spec, precision)


def _build(
    network: Network | Composite,
    modules: dict[EntryKey, Any],
    variant: Variant,
    packing: Any,
    options: CompileOptions,
    step: Progress,
    dump: Path | None,
    some_bfloat16: bool,
) -> tuple[BuiltModule, Any]:
    """Build the imported network for one variant."""
    from ovenbird.backends.building import build_module

    records = _records(network, variant, options)
    wanted = BuildOptions(
        variant.precision,
        some_bfloat16=some_bfloat16,
        fast_math=options.fast_math,
        packing=packing,
        records=records,
        without=options.without,
    )

    def follow(text: str, done: int, total: int) -> None:
        step(f"{variant.name}: {text}", done, total)

    try:
        return build_module(modules, variant.spec, wanted, follow, dump), records
    except OvenbirdError:
        raise
    except Exception as error:
        raise BuildFailed(f"cannot generate code for {variant.name}: {reason(error)}") from error


def _verify_variants(
    writer: ArtifactWriter,
    network: Network | Composite,
    variants: Sequence[Variant],
    batches: Mapping[str, Sequence[int]],
    options: CompileOptions,
    step: Progress,
    quantized: Quantized | None,
) -> tuple[dict[str, dict[str, Verification]], dict[str, str]]:
    """Verify each program of each variant's code that this machine can run; return what was found, by variant and
    program, and why others were not run. What was quantized here is shown the photographs that calibration left out.
    """
    unverified: dict[str, str] = {}
    found: dict[str, dict[str, Verification]] = {}
    references = References()
    writer.write_manifest(None, {})
    for variant, ref in zip(variants, writer.variants, strict=True):
        why_not = runs_here(writer.folder / ref.path / "target.json")
        if why_not:
            unverified[variant.name] = why_not
            continue
        step(f"verifying {variant.name} against {network.framework}")
        low = variant.precision == "int8"
        unseen = own_photographs() if quantized is None or not low else quantized.held
        limits, device = held_to(variant, network, options).limits, BACKENDS[variant.kind].device
        reached = None if quantized is None else quantized.reached
        found[variant.name] = verify_programs(
            writer.folder, network.programs, batches, limits, unseen, ref.name, device, low, references, reached
        )
        for program, one in found[variant.name].items():
            if low and options.max_disagreement is not None and (reached is None or one.texts is not None):
                noisiest = functools.partial(_noisiest, network.programs[program], quantized)
                check_disagreement(variant.name, program, one, options.max_disagreement, noisiest)
    return found, unverified


def _noisiest(network: Network, quantized: Quantized | None) -> str:
    """Return the layer that adds the most noise; of what came quantized, the tensor with the coarsest levels."""
    from ovenbird.quantize.calibration.pictures import find_pictures
    from ovenbird.quantize.imported import SHOWN, coarsest_tensor

    if quantized is not None:
        return quantized.noisiest()
    return coarsest_tensor(network.at(network.image_sizes[0]).relax(1), find_pictures(network, None).rows[:SHOWN])


def runs_here(target_json: Path) -> str:
    """Return the runtime's reason why this machine cannot run a variant, or nothing where it can."""
    from ovenbird_runtime.artifact.variant import check_runs_here
    from ovenbird_runtime.errors import MachineError
    from ovenbird_runtime.machine.cpu import this_machine
    from ovenbird_runtime.manifest.manifest import decode_target

    target = decode_target(target_json.read_bytes())
    try:
        check_runs_here(target, this_machine())
    except MachineError as error:
        return str(error)
    return BACKENDS[target.kind].why_not_here(target_json)


def held_to(variant: Variant, network: Network | Composite, options: CompileOptions) -> VariantParity:
    """Return what one variant's code is held to: by its precision, or by `--tolerance`.

    Answers that the network gives in float16 are rounded to it, whatever they are computed in.
    """
    rounded = variant.precision == "f32" and any(
        tensor.dtype == "float16" for one in network.programs.values() for tensor in one.outputs
    )
    limits = LIMITS["f16" if rounded else variant.precision]
    return VariantParity(variant.precision, limits.for_tolerance(options.tolerance))
