"""The way from a network to an artifact: import, build for each target, write, verify, and only then put in place.

report = compile_network(load_network("resnet50"), Path("artifacts/resnet50"), CompileOptions(targets=("host",)))
report.verified, report.parity.programs["main"].max_abs_error
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovenbird.artifact.artifact_writer import ArtifactWriter
from ovenbird.artifact.packaging import Staging
from ovenbird.backends.base import BuildOptions
from ovenbird.backends.table import BACKENDS
from ovenbird.errors import BuildFailed, UsageError
from ovenbird.interruption import Interruption
from ovenbird.lowering.dumping import keep_kinds
from ovenbird.lowering.entry_key import EntryKey
from ovenbird.networks.importing import reason
from ovenbird.networks.network import Network
from ovenbird.options import DEFAULT_OPTIONS, CompileOptions
from ovenbird.progress import Progress
from ovenbird.records.tuning_records import find_records, provenance
from ovenbird.targets import TargetSpec, load_target
from ovenbird.trust.provenance import record_origin
from ovenbird.trust.sums import write_sums
from ovenbird.verify.parity import PARITY, parity, parity_bytes
from ovenbird.verify.photographs import own_photographs
from ovenbird.verify.verifying import Verification, verify_programs
from ovenbird_runtime.artifact.golden import golden_file, write_golden
from ovenbird_runtime.errors import OvenbirdError
from ovenbird_runtime.manifest.agreement import LIMITS
from ovenbird_runtime.manifest.manifest import MAIN, Manifest, Parity, VariantParity

if TYPE_CHECKING:
    from ovenbird.lowering.built import BuiltModule
    from ovenbird.lowering.layers import LayerRecord


@dataclass(frozen=True)
class CompileReport:
    """What was written, and what is known about it."""

    output: Path
    manifest: Manifest
    verified: tuple[str, ...]
    unverified: dict[str, str]
    blind: tuple[str, ...] = ()
    """Outputs whose right answers were the same for all inputs, so that they show less of the network."""
    layers: dict[str, list[LayerRecord]] = field(default_factory=dict)
    dumped: Path | None = None
    unplanned: dict[str, str] = field(default_factory=dict)
    """The targets whose code has no plan for some batch size, and what no plan can say."""

    @property
    def parity(self) -> Parity | None:
        """The manifest's own figures."""
        return self.manifest.parity

    @property
    def size_bytes(self) -> int:
        """What the artifact takes on disk, but for its manifest."""
        return sum(record.size for record in self.manifest.files.values())


def compile_network(
    network: Network, output: Path, options: CompileOptions = DEFAULT_OPTIONS, progress: Progress | None = None
) -> CompileReport:
    """Compile `network` into the folder `output`. Raises any CompilerError; then `output` is as it was before."""
    stop = Interruption(progress or Progress())
    specs = [load_target(name) for name in dict.fromkeys(options.targets)]
    if not specs:
        raise UsageError("give at least one --target")
    batches = network.compiled_batches(options.batch_sizes)
    dump = output.with_name(f"{output.name}.code") if options.dump else None
    layers: dict[str, list[LayerRecord]] = {}
    unplanned: dict[str, str] = {}
    with stop as step, Staging(output) as staging:
        writer = ArtifactWriter(staging.folder, network)
        tuning: dict[str, Any] = {}
        modules = _import(network, batches, step)
        packings = _packings(network, specs, options)
        for spec in specs:
            folder = dump / spec.name if dump else None
            built, records = _build(network, modules, spec, packings[spec.kind], options, step, folder)
            layers[spec.name] = list(built.layers)
            if built.unplanned:
                unplanned[spec.name] = "; ".join(dict.fromkeys(built.unplanned.values()))
            tuning[spec.name] = provenance(records, built.layers)
            if folder is not None:
                keep_kinds(folder, options.dump)
            step(f"writing {spec.name}")
            writer.add_variant(built, spec, held_to(spec, network, options).precision)
        modules.clear()
        del built
        gc.collect()  # verification has memory of its own to take
        found, unverified = _verify_variants(writer, network, specs, batches, options, step)
        figures = None
        if found:
            held = [held_to(spec, network, options) for spec in specs]
            figures = parity(found, {ref.name: one for ref, one in zip(writer.variants, held, strict=True)})
            for program, one in next(iter(found.values())).items():
                for size, golden in one.golden.items():
                    write_golden(_made(staging.folder / golden_file(program, size)), golden.inputs, golden.outputs)
            writer.add_evidence(PARITY, parity_bytes(figures, network.source.framework, unverified))
        record_origin(writer, specs, options, tuning)
        manifest = writer.write_manifest(figures, tuning)
        write_sums(staging.folder)
        step(f"putting {output} in place")
        staging.commit()
    blind = tuple(name for one in next(iter(found.values()), {}).values() for name in one.blind)
    return CompileReport(output, manifest, tuple(found), unverified, blind, layers, dump, unplanned)


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _import(network: Network, batches: Sequence[int], step: Progress) -> dict[EntryKey, Any]:
    """Import the network at every image size and batch size, once for all targets."""
    from ovenbird.passes.share_constants import share_constants

    keys = [EntryKey(batch=batch, size=size) for size in network.image_sizes for batch in batches]
    kept: dict[Any, Any] = {}
    modules = {}
    for done, key in enumerate(keys):
        step("tracing and importing", done, len(keys))
        modules[key] = network.at(key.size).relax(key.batch)
        if len(keys) > 1:
            modules[key] = share_constants(modules[key], kept)
        gc.collect()  # importers refer to themselves, and so keep the weights that they rearranged
    step("tracing and importing", len(keys), len(keys))
    return modules


def _packings(network: Network, specs: Sequence[TargetSpec], options: CompileOptions) -> dict[str, Any]:
    """Return the one way in which all targets of a kind pack their weights, by kind."""
    kinds = {spec.kind: [other for other in specs if other.kind == spec.kind] for spec in specs}
    return {
        kind: BACKENDS[kind].packing(alike, lambda spec: _records(network, spec, options))
        for kind, alike in kinds.items()
    }


def _records(network: Network, spec: TargetSpec, options: CompileOptions) -> Any:
    """Open the tuning records of a target, None where the defaults are to be taken."""
    precision = BACKENDS[spec.kind].precision(options.precision)
    return find_records(options.tuning_records, network.name, spec, precision)


def _build(
    network: Network,
    modules: dict[EntryKey, Any],
    spec: TargetSpec,
    packing: Any,
    options: CompileOptions,
    step: Progress,
    dump: Path | None,
) -> tuple[BuiltModule, Any]:
    """Build the imported network for one target."""
    from ovenbird.backends.building import build_module

    records = _records(network, spec, options)
    wanted = BuildOptions(options.precision, options.fast_math, packing, records)

    def follow(text: str, done: int, total: int) -> None:
        step(f"{spec.name}: {text}", done, total)

    try:
        return build_module(modules, spec, wanted, follow, dump), records
    except OvenbirdError:
        raise
    except Exception as error:
        raise BuildFailed(f"cannot generate code for {spec.name}: {reason(error)}") from error


def _verify_variants(
    writer: ArtifactWriter,
    network: Network,
    specs: Sequence[TargetSpec],
    batches: Sequence[int],
    options: CompileOptions,
    step: Progress,
) -> tuple[dict[str, dict[str, Verification]], dict[str, str]]:
    """Verify each program of each target's code that this machine can run; return what was found, by variant and
    program, and why others were not run.
    """
    unverified: dict[str, str] = {}
    found: dict[str, dict[str, Verification]] = {}
    networks, photographs = {MAIN: network}, own_photographs()
    writer.write_manifest(None, {})
    for spec, variant in zip(specs, writer.variants, strict=True):
        why_not = runs_here(writer.folder / variant.path / "target.json")
        if why_not:
            unverified[variant.name] = why_not
            continue
        step(f"verifying {spec.name} against {network.source.framework}")
        device = BACKENDS[spec.kind].device
        limits = held_to(spec, network, options).limits
        found[variant.name] = verify_programs(
            writer.folder, networks, batches, limits, photographs, variant.name, device
        )
    return found, unverified


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


def held_to(spec: TargetSpec, network: Network, options: CompileOptions) -> VariantParity:
    """Return what one target's code is held to: by its precision, or by `--tolerance`.

    Answers that the network gives in float16 are rounded to it, whatever they are computed in.
    """
    precision = BACKENDS[spec.kind].precision(options.precision)
    rounded = any(tensor.dtype == "float16" for tensor in network.outputs)
    return VariantParity(precision, LIMITS["f16" if rounded else precision].for_tolerance(options.tolerance))
