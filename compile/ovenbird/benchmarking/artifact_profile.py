"""Where the time of a finished artifact goes: each layer of each variant that runs here, against this machine's limits.

    for profile in profile_artifact(open_artifact(folder), threads=2, step=Progress()):
        print(profile.variant, profile.rows)

As `bench --profile` measures it, on random inputs, at the least batch size that there is code for.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ovenbird.artifact.layer_table import layers_of
from ovenbird.benchmarking.layer_profile import explain
from ovenbird.benchmarking.machine.roofline import limits_in
from ovenbird.benchmarking.running import LIMITS_S, PROFILE_RUNS, PROFILE_S
from ovenbird.benchmarking.worker_processes import run_module
from ovenbird.errors import EngineFailed
from ovenbird.process.progress import Progress
from ovenbird_runtime.artifact.artifact import Artifact
from ovenbird_runtime.artifact.variant import choose_variant
from ovenbird_runtime.errors import OvenbirdError
from ovenbird_runtime.machine.cpu import this_machine
from ovenbird_runtime.manifest.manifest import Target, TensorSpec
from ovenbird_runtime.tensors.arrays import Array


@dataclass(frozen=True)
class VariantProfile:
    """One variant's layers, the slowest first (`layer_profile.explain`); no rows, and why, where it does not run."""

    variant: str
    threads: int
    batch: int = 0
    program: str = ""
    rows: tuple[dict[str, Any], ...] = ()
    limits: dict[str, float] | None = None
    why_not: str = ""

    @property
    def ms(self) -> float:
        """Milliseconds of a run, all layers together."""
        return float(sum(row["ms"] for row in self.rows))


def profile_artifact(artifact: Artifact, threads: int, step: Progress) -> list[VariantProfile]:
    """Time every variant's layers; its files are checked first, as a runtime checks them. Raises ArtifactError."""
    known, found = layers_of(artifact), []
    limits: dict[str, float] = {}
    for variant in artifact.manifest.variants:
        try:
            _, target = choose_variant(artifact, "cpu", this_machine(), variant.name)
            artifact.verify([f"{variant.path}/model.so", *sorted({tensor.file for tensor in target.tensors})])
            if not limits:
                step("measuring what this machine can do")
                arguments = ["host", str(threads)]
                limits = run_module("ovenbird.benchmarking.machine.roofline", arguments, threads, LIMITS_S)
            step(f"{variant.name}: timing every layer")
            found.append(_profile(artifact, target, variant.name, known.get(variant.name, {}), limits, threads))
        except (EngineFailed, OvenbirdError) as error:
            found.append(VariantProfile(variant.name, threads, why_not=f"{type(error).__name__}: {error}"))
    return found


def _profile(
    artifact: Artifact, target: Target, name: str, layers: dict[str, Any], limits: dict[str, float], threads: int
) -> VariantProfile:
    entry = min(target.entries, key=lambda one: one.batch)  # the first of them, which `layer_profile` takes
    program = artifact.manifest.programs[entry.program].at(entry.size)
    with tempfile.TemporaryDirectory(prefix="ovenbird-profile-") as folder:
        path = Path(folder) / "inputs.npz"
        np.savez(path, allow_pickle=False, **{spec.name: _values(spec, entry.batch) for spec in program.inputs})
        arguments = [str(artifact.root.resolve()), str(path), str(entry.batch), str(threads), str(PROFILE_RUNS), name]
        rows = run_module("ovenbird.benchmarking.layer_profile", arguments, threads, PROFILE_S)["rows"]
    limits = limits_in(target.precision, limits)
    return VariantProfile(name, threads, entry.batch, entry.program, tuple(explain(rows, layers, limits)), limits)


def _values(spec: TensorSpec, batch: int) -> Array:
    rng, shape = np.random.default_rng(0), spec.with_batch(batch)
    if spec.dtype.startswith("float"):
        return rng.standard_normal(shape).astype(spec.dtype)
    return np.zeros(shape, spec.dtype)
