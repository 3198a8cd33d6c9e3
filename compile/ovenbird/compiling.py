"""The way from a network to an artifact: import, build for each target, write, verify, and only then put in place.

report = compile_network(load_network("resnet50"), Path("artifacts/resnet50"), CompileOptions(targets=("host",)))
report.verified, report.parity.max_abs_error
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovenbird.artifact_writer import ArtifactWriter
from ovenbird.backends.cuda.local_gpu import why_not_on_gpu
from ovenbird.backends.cuda.options import DEFAULT, HALF_TOLERANCE, GpuOptions
from ovenbird.errors import BuildFailed, UsageError
from ovenbird.importing import reason
from ovenbird.interruption import Interruption
from ovenbird.lowering.dumping import DumpKind, keep_kinds
from ovenbird.network import Network
from ovenbird.packaging import Staging
from ovenbird.photographs import own_photographs
from ovenbird.progress import Progress
from ovenbird.targets import TargetSpec, load_target
from ovenbird.trust.provenance import record_origin
from ovenbird.trust.sums import write_sums
from ovenbird.tuning_records import find_records, provenance
from ovenbird.verifying import DEFAULT_TOLERANCE, PARITY, Verification, verify
from ovenbird_runtime.errors import OvenbirdError
from ovenbird_runtime.golden import GOLDEN, write_golden
from ovenbird_runtime.manifest import Manifest, Parity

if TYPE_CHECKING:
    from ovenbird.backends.built import BuiltModule
    from ovenbird.backends.cpu.packing import Packing
    from ovenbird.backends.layers import LayerRecord

DEFAULT_BATCHES = (1, 8)


@dataclass(frozen=True)
class CompileOptions:
    """What `ovenbird compile` may be told. `tuning_records`: a folder, "none", or None for the ones that match."""

    targets: tuple[str, ...] = ("host",)
    batch_sizes: tuple[int, ...] = DEFAULT_BATCHES
    tuning_records: str | None = None
    tolerance: float = DEFAULT_TOLERANCE
    dump: tuple[DumpKind, ...] = ()
    gpu: GpuOptions = DEFAULT


@dataclass(frozen=True)
class CompileReport:
    """What was written, and what is known about it."""

    output: Path
    manifest: Manifest
    verified: tuple[str, ...]
    unverified: dict[str, str]
    layers: dict[str, list[LayerRecord]] = field(default_factory=dict)
    dumped: Path | None = None

    @property
    def parity(self) -> Parity | None:
        """The manifest's own figures."""
        return self.manifest.parity

    @property
    def size_bytes(self) -> int:
        """What the artifact takes on disk, but for its manifest."""
        return sum(record.size for record in self.manifest.files.values())


def compile_network(
    network: Network, output: Path, options: CompileOptions = CompileOptions(), progress: Progress | None = None
) -> CompileReport:
    """Compile `network` into the folder `output`. Raises any CompilerError; then `output` is as it was before."""
    stop = Interruption(progress or Progress())
    specs = [load_target(name) for name in dict.fromkeys(options.targets)]
    if not specs:
        raise UsageError("give at least one --target")
    batches = tuple(sorted(set(options.batch_sizes))) if network.batched else (1,)
    dump = output.with_name(f"{output.name}.code") if options.dump else None
    layers: dict[str, list[LayerRecord]] = {}
    with stop as tell, Staging(output) as staging:
        writer = ArtifactWriter(staging.folder, network)
        tuning: dict[str, Any] = {}
        modules = _import(network, batches, tell)
        packing = _shared_packing(network, specs, options)
        for spec in specs:
            folder = dump / spec.name if dump else None
            built, records = _build(network, modules, spec, packing, options, tell, folder)
            layers[spec.name] = list(built.layers)
            tuning[spec.name] = provenance(records, built.layers)
            if folder is not None:
                keep_kinds(folder, options.dump)
            tell(f"writing {spec.name}")
            writer.add_variant(built, spec)
        found, unverified = _verify_variants(writer, network, specs, batches, options, tell)
        verified = tuple(spec.name for spec in specs if spec.name not in unverified)
        if found is not None:
            write_golden(_made(staging.folder / GOLDEN), found.golden_inputs, found.golden_outputs)
            writer.add_evidence(PARITY, found.parity_bytes(network.source.framework, verified, sorted(unverified)))
        record_origin(writer, specs, options, tuning)
        manifest = writer.write_manifest(found.parity if found else None, tuning)
        write_sums(staging.folder)
        tell(f"putting {output} in place")
        staging.commit()
    return CompileReport(output, manifest, verified, unverified, layers, dump)


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _import(network: Network, batches: Sequence[int], tell: Progress) -> dict[int, Any]:
    """Import the network at every batch size, once for all targets."""
    modules = {}
    for done, batch in enumerate(batches):
        tell("tracing and importing", done, len(batches))
        modules[batch] = network.relax(batch)
    tell("tracing and importing", len(batches), len(batches))
    return modules


def _shared_packing(network: Network, specs: Sequence[TargetSpec], options: CompileOptions) -> Packing | None:
    """Give the one way to pack the weights of all processors: that of the widest vectors, the first of equals."""
    from ovenbird.backends.cpu.packing import packing_of

    processors = [spec for spec in specs if spec.kind == "llvm"]
    if not processors:
        return None
    widest = max(processors, key=lambda spec: spec.vector_bits)
    return packing_of(widest, find_records(options.tuning_records, network.name, widest))


def _build(
    network: Network,
    modules: dict[int, Any],
    spec: TargetSpec,
    packing: Packing | None,
    options: CompileOptions,
    tell: Progress,
    dump: Path | None,
) -> tuple[BuiltModule, Any]:
    """Build the imported network for one target."""
    from ovenbird.backends.building import build_module

    records = find_records(options.tuning_records, network.name, spec, options.gpu.precision)

    def follow(text: str, done: int, total: int) -> None:
        tell(f"{spec.name}: {text}", done, total)

    try:
        built = build_module(
            modules, spec, records=records, progress=follow, dump=dump, gpu=options.gpu, packing=packing
        )
        return built, records
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
    tell: Progress,
) -> tuple[Verification | None, dict[str, str]]:
    """Verify each target's code that this machine can run; give the worst case of all, and why others were not run."""
    unverified: dict[str, str] = {}
    found: list[Verification] = []
    writer.write_manifest(None, {})
    for spec, variant in zip(specs, writer.variants, strict=True):
        why_not = runs_here(writer.folder / variant.path / "target.json")
        if why_not:
            unverified[spec.name] = why_not
            continue
        tell(f"verifying {spec.name} against {network.source.framework}")
        device = "cuda" if spec.kind == "cuda" else "cpu"
        tolerance = tolerance_for(spec, options)
        found.append(verify(writer.folder, network, batches, tolerance, own_photographs(), spec.name, device))
    return (worst_of(found) if found else None), unverified


def runs_here(target_json: Path) -> str:
    """Give the runtime's reason why this machine cannot run a variant, or nothing where it can."""
    from ovenbird_runtime.cpu import this_machine
    from ovenbird_runtime.errors import MachineError
    from ovenbird_runtime.manifest import decode_target
    from ovenbird_runtime.variant import check_runs_here

    target = decode_target(target_json.read_bytes())
    try:
        check_runs_here(target, this_machine())
    except MachineError as error:
        return str(error)
    return why_not_on_gpu(target_json) if target.kind == "cuda" else ""


def tolerance_for(spec: TargetSpec, options: CompileOptions) -> float:
    """Give the tolerance of one target: in float16 at least `HALF_TOLERANCE`, as each value is rounded to 1/2048."""
    half = spec.kind == "cuda" and options.gpu.precision == "float16"
    return max(options.tolerance, HALF_TOLERANCE) if half else options.tolerance


def worst_of(found: Sequence[Verification]) -> Verification:
    """Give one verification that holds for all variants: largest errors and tolerance, the lowest agreement."""
    first = found[0]
    errors = {name: max(one.parity.max_abs_error[name] for one in found) for name in first.parity.max_abs_error}
    agreements = [one.parity.top1_agreement for one in found if one.parity.top1_agreement is not None]
    parity = dataclasses.replace(
        first.parity,
        max_abs_error=errors,
        tolerance=max(one.parity.tolerance for one in found),
        top1_agreement=min(agreements) if agreements else None,
    )
    outputs = {name: {**figures, "max_abs_error": errors[name]} for name, figures in first.outputs.items()}
    return dataclasses.replace(first, parity=parity, outputs=outputs)
