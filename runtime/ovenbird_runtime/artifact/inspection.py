"""What an artifact holds and what of it runs here, found out without loading any of its code.

inspect_artifact("artifacts/resnet50")["variants"][0]["runs_here"]
"""

from __future__ import annotations

import os
from typing import Any

from ..errors import ArtifactError, MachineError, one_line
from ..integrity.signatures import signers
from ..machine.cpu import MachineFacts, available_threads, this_machine
from ..manifest.manifest import Manifest, VariantRef
from ..manifest.schema import encode
from .artifact import Artifact, open_artifact
from .origin import read_origin
from .plan import Plan
from .variant import check_device_here, check_runs_here, choose_variant


def inspect_artifact(path: str | os.PathLike[str], public_key: str | os.PathLike[str] | None = None) -> dict[str, Any]:
    """Describe the artifact in folder `path` as JSON values. Raises ArtifactError where its manifest cannot
    be read, and as `open_artifact` does where a signature is required.
    """
    artifact, machine = open_artifact(path, public_key), this_machine()
    manifest = artifact.manifest
    return {
        "path": str(artifact.root),
        "schema_version": manifest.schema_version,
        "digest": manifest.digest,
        "signatures": list(signers(artifact.root)),
        "signed_by": artifact.signed_by,
        "provenance": read_origin(artifact),
        "model": encode(manifest.model),
        "programs": encode(manifest.programs),
        **(encode(manifest.program()) if len(manifest.programs) == 1 else {}),
        "parity": encode(manifest.parity) if manifest.parity is not None else None,
        "tuning": manifest.tuning,
        "chosen": _chosen(artifact, machine),
        "variants": [_variant(artifact, variant, machine) for variant in manifest.variants],
        "files": len(manifest.files),
        "bytes": sum(record.size for record in manifest.files.values()),
        "machine": {
            "arch": machine.arch,
            "glibc": ".".join(map(str, machine.glibc)),
            "threads": available_threads(),
        },
    }


def _chosen(artifact: Artifact, machine: MachineFacts) -> str | None:
    """Return the name of the variant that `load` takes on this machine's processor; None where none runs."""
    try:
        return choose_variant(artifact, "cpu", machine)[0].name
    except (ArtifactError, MachineError):
        return None


def _variant(artifact: Artifact, variant: VariantRef, machine: MachineFacts) -> dict[str, Any]:
    result: dict[str, Any] = {
        "name": variant.name,
        "target": variant.target,
        "precision": variant.precision,
        "runs_here": False,
        "reason": None,
    }
    try:
        target = artifact.read_target(variant)
        result |= {
            "kind": target.kind,
            "arch": target.arch,
            "triple": target.triple,
            "cpu_features": list(target.cpu_features),
            "glibc": target.glibc,
            "tvm": target.tvm,
            "tvm_ffi": target.tvm_ffi,
            "batches": {
                name: sorted({entry.batch for entry in target.entries_of(name)}) for name in artifact.manifest.programs
            },
            "code_bytes": artifact.manifest.files[f"{variant.path}/model.so"].size,
            "weight_bytes": sum(tensor.nbytes for tensor in target.tensors),
            "plan": _plan(artifact.read_plan(variant, target)),
        }
        check_runs_here(target, machine)
        check_device_here(target)
        result["runs_here"] = True
    except (ArtifactError, MachineError) as error:
        result["reason"] = f"{type(error).__name__}: {error}"
    return result


def _plan(plan: Plan | None) -> list[dict[str, Any]] | None:
    """Return what a runtime without TVM would do for each entry; None where there is no plan."""
    if plan is None:
        return None
    return [
        {
            "program": entry.program,
            "batch": entry.batch,
            "size": list(entry.size),
            "arena_bytes": entry.arena_bytes,
            "calls": len(entry.calls),
        }
        for entry in plan.entries
    ]


def weights_line(manifest: Manifest) -> str:
    """Say in one line where the weights come from, loudly where they are random."""
    weights = manifest.model.weights
    if weights.random:
        seed = "" if weights.seed is None else f" (seed {weights.seed})"
        return f"RANDOM WEIGHTS{seed}: what this network says about an image means nothing"
    return one_line(f"weights: {weights.origin}" + (f" {weights.detail}" if weights.detail else ""))
