"""What goes into an artifact's folder: code, weights, labels, evidence, and the manifest that lists them all.

    writer = ArtifactWriter(folder, network)
    writer.add_variant(built, target)            # targets/host/{model.so,target.json}, weights/<sha256>.bin
    writer.add_evidence("evidence/parity.json", data)
    writer.write_manifest(parity, tuning={})     # last: it holds every file's size and digests

Nothing here depends on time, on the machine's name or on the order of a dict that is not ours: two compiles of one
network give the same bytes.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ovenbird.artifact.layer_table import LAYERS, layers_bytes
from ovenbird.artifact.packaging import MANIFEST, blake3_file, sha256_file, write_file, writing
from ovenbird.networks.composite import Composite
from ovenbird.networks.network import Network
from ovenbird.networks.sizes import program_of
from ovenbird.process.isolated import run_isolated
from ovenbird.targets import TargetSpec
from ovenbird_runtime.artifact.plan import PLAN
from ovenbird_runtime.artifact.plan_checks import check_plan
from ovenbird_runtime.artifact.plan_file import plan_bytes
from ovenbird_runtime.limits import ALIGNMENT_BYTES, SCHEMA_VERSION
from ovenbird_runtime.manifest.agreement import Precision
from ovenbird_runtime.manifest.answers import LABELS
from ovenbird_runtime.manifest.manifest import (
    Dtype,
    FileRecord,
    Manifest,
    ModelInfo,
    Parity,
    Target,
    VariantRef,
    WeightTensor,
    seal,
    target_bytes,
    variant_name,
)
from ovenbird_runtime.tensors.arrays import Array

if TYPE_CHECKING:
    from ovenbird.lowering.built import BuiltModule
    from ovenbird.lowering.layers import LayerRecord

BLAKE3_MIN_BYTES = 1 << 20
"""Smaller files are checked by their sha256 alone, in a millisecond or two."""


class ArtifactWriter:
    """Writes one artifact into `folder`, which exists and is empty."""

    def __init__(self, folder: Path, network: Network | Composite) -> None:
        self.folder = folder
        self.network = network
        self.variants: list[VariantRef] = []
        self._layers: dict[str, list[LayerRecord]] = {}
        self._places: dict[bytes, tuple[str, int]] = {}
        """What lies in weights files: a tensor's digest -> (file, offset in bytes)."""
        self.programs = {name: program_of(one) for name, one in network.programs.items()}
        self.source_digest = network.digest
        if network.labels:
            write_file(folder / LABELS, ("\n".join(network.labels) + "\n").encode("utf-8"))
        for name, data in network.files.items():
            write_file(folder / name, data)

    def add_variant(self, built: BuiltModule, spec: TargetSpec, precision: Precision = "f32") -> None:
        """Write one target's library, its weights and its description. Raises DiskFull, BuildFailed."""
        path = f"targets/{variant_name(spec.name, precision)}"
        (self.folder / path).mkdir(parents=True)
        library = self.folder / path / "model.so"
        run_isolated(lambda: built.export(library), f"{path}/model.so")
        tensors = self._write_weights(built.tensors)
        target = Target(
            schema_version=SCHEMA_VERSION,
            target=spec.name,
            precision=precision,
            kind=spec.kind,
            triple=spec.triple,
            arch=spec.arch,
            cpu_features=tuple(spec.features),
            glibc=spec.glibc,
            tvm=version("apache-tvm"),
            tvm_ffi=version("apache-tvm-ffi"),
            alignment=ALIGNMENT_BYTES,
            vector_bits=spec.vector_bits,
            entries=tuple(built.entries),
            tensors=tensors,
            compute=(spec.chip,) if spec.chip else (),
            driver=spec.min_driver,
            resample=built.resample,
            resample_linear=built.resample_linear,
        )
        write_file(self.folder / path / "target.json", target_bytes(target))
        if built.plan is not None:
            for name, network in self.network.programs.items():
                for size in network.image_sizes:
                    one = network.at(size)
                    where = f"{path}/{PLAN}"
                    check_plan(built.plan, target.tensors, one.inputs, one.outputs, where, name, size or None)
            write_file(self.folder / path / PLAN, plan_bytes(built.plan))
        self.variants.append(VariantRef(spec.name, path, precision))
        self._layers[variant_name(spec.name, precision)] = built.layers
        self.add_evidence(LAYERS, layers_bytes(self._layers))

    def _write_weights(self, arrays: list[Array]) -> tuple[WeightTensor, ...]:
        """Return every tensor's place; those that no variant before had go into a new file, named by its digest.

        Each begins at a multiple of 64 bytes. What has the same bytes has one place.
        """
        digests = [
            hashlib.sha256(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data).digest() for array in arrays
        ]
        new = {digest: array for digest, array in zip(digests, arrays, strict=True) if digest not in self._places}
        if new:
            self._write_file(new)
        return tuple(
            WeightTensor(
                file=self._places[digest][0],
                offset=self._places[digest][1],
                dtype=cast(Dtype, str(array.dtype)),
                shape=tuple(int(dim) for dim in array.shape),
            )
            for digest, array in zip(digests, arrays, strict=True)
        )

    def _write_file(self, arrays: dict[bytes, Array]) -> None:
        """Write one file of tensors and keep their places."""
        partial = self.folder / "weights" / "partial"
        taken = hashlib.sha256()
        offsets: dict[bytes, int] = {}
        offset = 0
        with writing(partial) as file:
            for digest, array in arrays.items():
                offsets[digest] = offset
                data = np.ascontiguousarray(array)
                padding = bytes(-data.nbytes % ALIGNMENT_BYTES)
                for piece in (data.reshape(-1).view(np.uint8).data, padding):
                    file.write(piece)
                    taken.update(piece)
                offset += data.nbytes + len(padding)
        name = f"weights/{taken.hexdigest()}.bin"
        partial.replace(self.folder / name)
        self._places |= {digest: (name, place) for digest, place in offsets.items()}

    def add_evidence(self, name: str, data: bytes) -> None:
        """Write one file of evidence. Raises DiskFull."""
        write_file(self.folder / name, data)

    def model_info(self) -> ModelInfo:
        """Return what the manifest says about the network."""
        network = self.network
        return ModelInfo(
            name=network.model_name,
            version=network.version,
            source_digest=self.source_digest,
            licence=network.licence,
            weights=network.weights,
        )

    def file_table(self) -> dict[str, FileRecord]:
        """Return size and digests of every file in the folder but the manifest, sorted by name."""
        return {
            str(path.relative_to(self.folder)): _record_of(path)
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and path.name != MANIFEST
        }

    def write_manifest(self, parity: Parity | None, tuning: dict[str, Any]) -> Manifest:
        """Write `manifest.json` over all that is in the folder, sealed. Raises DiskFull."""
        manifest = Manifest(
            schema_version=SCHEMA_VERSION,
            model=self.model_info(),
            programs=self.programs,
            parity=parity,
            tuning=tuning,
            variants=tuple(self.variants),
            files=self.file_table(),
            states=self.network.states,
            loop=self.network.loop,
        )
        write_file(self.folder / MANIFEST, seal(manifest))
        return manifest


def _record_of(path: Path) -> FileRecord:
    size = path.stat().st_size
    return FileRecord(size, sha256_file(path), blake3_file(path) if size >= BLAKE3_MIN_BYTES else None)
