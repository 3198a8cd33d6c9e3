"""Provenance: what an artifact was made from, by what, and how; `provenance.json`, in-toto v1 with SLSA v1.

    provenance_bytes(model, options, tuning, files, Making(commit))
    record_origin(writer, specs, options, tuning)     # both files of origin, just before the manifest

The subjects are the files (the manifest lists this file, so this file cannot hold the manifest's digest). Left out, so
that two compilations of one commit give the same bytes: times, invocation ids, paths, the machine's and user's names.
What a machine does decide (the processor that `host` is) stands in `targets/host/target.json`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovenbird.artifact.packaging import sha256_file
from ovenbird.backends.base import BuildOptions
from ovenbird.backends.table import BACKENDS
from ovenbird.records.tuning_records import records_folder
from ovenbird.trust.sbom import sbom_bytes
from ovenbird.trust.versions import Commit, find_commit, maker_versions, tool_versions
from ovenbird_runtime.artifact.origin import PROVENANCE, SBOM
from ovenbird_runtime.manifest.manifest import MAIN, FileRecord, ModelInfo, file_record, variant_name

if TYPE_CHECKING:
    from ovenbird.artifact.artifact_writer import ArtifactWriter
    from ovenbird.networks.composite import Composite
    from ovenbird.networks.network import Network
    from ovenbird.options import CompileOptions
    from ovenbird.targets import TargetSpec

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:ovenbird:compile:v1"
BUILDER = "urn:ovenbird:compiler"


@dataclass(frozen=True)
class Making:
    """What made an artifact: the compiler's commit, versions of linkers, digests of each target's tuning records."""

    commit: Commit | None = None
    makers: Mapping[str, str] = field(default_factory=dict)
    records: Mapping[str, str] = field(default_factory=dict)


def record_origin(
    writer: ArtifactWriter, specs: Sequence[TargetSpec], options: CompileOptions, tuning: Mapping[str, Any]
) -> None:
    """Write SBOM and provenance over all that is in the artifact so far. Raises DiskFull, OutputError."""
    model = writer.model_info()
    files = {name: record for name, record in writer.file_table().items() if name not in (SBOM, PROVENANCE)}
    writer.add_evidence(SBOM, sbom_bytes(model, files))
    files[SBOM] = file_record(writer.folder / SBOM)
    parameters: dict[str, Any] = {
        "model": model.name,
        "weights": {"origin": model.weights.origin, "detail": model.weights.detail, "seed": model.weights.seed},
        "targets": [spec.name for spec in specs],
        "batch_sizes": sorted(set(options.batch_sizes)),
        "tolerance": options.tolerance,
        # a folder's path is a machine's own business; what was found in it is under `internalParameters`
        "tuning_records": options.tuning_records if options.tuning_records in (None, "none") else "given",
        "inputs": _shapes(writer.network),
    }
    if options.precisions != ("f32",):
        parameters["precisions"] = list(options.precisions)
    if options.without:
        parameters["without"] = sorted(options.without)
    if "int8" in options.precisions:
        calibration = options.calibration
        parameters["calibration"] = {
            "size": calibration.size, "method": calibration.range_method, "mix_below": calibration.mix_below
        }  # fmt: skip
        if calibration.quantizer != "own":
            parameters["calibration"]["quantizer"] = calibration.quantizer
        if calibration.programs:
            parameters["calibration"]["programs"] = list(calibration.programs)
    for spec in specs:
        for precision in options.precisions:
            parameters |= BACKENDS[spec.kind].heeded(BuildOptions(precision, fast_math=options.fast_math))
    name = writer.network.model_name
    made = Making(
        commit=find_commit([spec.name for spec in specs]),
        makers={name: version for spec in specs for name, version in maker_versions(spec).items()},
        records={
            variant_name(spec.name, precision): folder_digest(folder)
            for spec in specs
            for precision in dict.fromkeys(map(BACKENDS[spec.kind].precision, options.precisions))
            for recorded in (BACKENDS[spec.kind].recorded(precision),)
            if (folder := records_folder(options.tuning_records, name, spec, recorded)) is not None
        },
    )
    writer.add_evidence(PROVENANCE, provenance_bytes(model, parameters, dict(tuning), files, made))


def folder_digest(folder: Path) -> str:
    """Return the sha256 over names and digests of a tuning log's files, as `sha256sum *.json` prints them."""
    files = sorted(path for path in folder.glob("*.json") if path.is_file())
    return hashlib.sha256("".join(f"{sha256_file(path)}  {path.name}\n" for path in files).encode()).hexdigest()


def provenance_bytes(
    model: ModelInfo,
    options: Mapping[str, Any],
    tuning: Mapping[str, Any],
    files: Mapping[str, FileRecord],
    made: Making,
) -> bytes:
    """Return the statement about `files`, its subjects."""
    versions = tool_versions()
    materials: list[dict[str, Any]] = [{"name": "network", "digest": {"sha256": model.source_digest}}]
    if made.commit is not None:
        compiler: dict[str, Any] = {"name": "ovenbird", "digest": {"gitCommit": made.commit.sha}}
        if made.commit.modified:
            compiler["annotations"] = {"modified": True}
        materials.append(compiler)
    materials += [
        {"name": f"tuning-records/{target}", "digest": {"sha256": digest}} for target, digest in made.records.items()
    ]
    materials += [
        {"uri": f"pkg:pypi/{name}@{version.replace('+', '%2B')}"}
        for name, version in versions.items()
        if name not in ("python", "ovenbird")
    ]
    statement = {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": files[name].sha256}} for name in sorted(files)],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": dict(options),
                "internalParameters": {"tuning": dict(tuning)},
                "resolvedDependencies": materials,
            },
            "runDetails": {"builder": {"id": BUILDER, "version": versions | dict(made.makers)}},
        },
    }
    return (json.dumps(statement, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode("utf-8")


def _shapes(network: Network | Composite) -> dict[str, Any]:
    """Return the inputs' shapes by name, of a model of several programs by program."""
    shapes = {name: {spec.name: list(spec.shape) for spec in one.inputs} for name, one in network.programs.items()}
    return shapes.get(MAIN, shapes)
